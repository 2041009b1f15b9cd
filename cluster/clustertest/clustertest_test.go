package clustertest

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

func TestSharedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := New(t, 3, Options{Log: os.Stderr})
		t.Logf("whole after %v", time.Since(start))
		admitted := 0
		for i := range 300 {
			d, err := c.Node(i%3).Take(t.Context(), "k", limiter.Per(10, time.Minute), 1)
			require.NoError(t, err)
			require.False(t, d.Degraded)
			if d.Allowed {
				admitted++
			}
		}
		require.Equal(t, 10, admitted)
		for _, i := range c.Running() {
			t.Logf("%+v", c.Node(i).Stats())
		}
	})
}
