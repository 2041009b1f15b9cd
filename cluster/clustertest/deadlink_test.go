package clustertest

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"time"
)

// A dead link between two living nodes, in a cluster that has seen many hand-overs:
// whoever is asked to relay must not send the asker away because it once ceded the
// partition to it.
func TestDeadLinkAfterHandOvers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 2, Options{})
		for range 3 {
			c.Add()
			c.Settle()
		}
		l := limiter.Per(50, 24*time.Hour)
		for a := range c.Len() {
			for b := range a {
				c.Cut(a, b)
				c.Cut(b, a)
				for _, k := range keys {
					k = limiter.Key(k, name(a), name(b))
					require.Equal(t, 50, spend(t, c, k, l, 120), "key %s with no link from %d to %d", k, a, b)
				}
				c.Heal()
				c.Settle()
			}
		}
	})
}
