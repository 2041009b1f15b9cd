package status_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Three nodes, seen from the first: whole, in a split, and whole again.
func TestPageOfASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		page := status.Handler(c.Node(0), status.Config{})
		defer page.Close()
		guard, err := middleware.New(c.Node(0), middleware.Policy{OnDecision: page.OnDecision,
			Default: []middleware.Rule{{Name: "login", Limit: limiter.Per(3, time.Hour), Key: middleware.Header("X-User")}}})
		require.NoError(t, err)
		page.Guard(guard)
		look := func() (r status.Report) {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?format=json", nil))
			unmarshal(t, w.Body.Bytes(), &r)
			return r
		}
		(&lab{t: t, guard: guard}).visit("alice", 5)
		r := look()
		require.Len(t, r.Members, 3)
		assert.True(t, r.Failures[0].Well)
		assert.Len(t, r.Failures, 1)
		assert.Zero(t, r.Rules[0].Overshoot)
		assert.Equal(t, r.Ring.Owned, r.Ring.Held)
		assert.EqualValues(t, 2, r.Rules[0].Denied)
		for _, m := range r.Members {
			assert.Equal(t, "living", m.State)
			assert.NotEmpty(t, m.Version)
			assert.Empty(t, m.UnreachableFrom)
			assert.Equal(t, m.Self, m.RoundTrip == 0, m.Name)
		}

		c.Split([]int{0}, []int{1, 2})
		time.Sleep(30 * time.Second)
		r = look()
		assert.False(t, r.Failures[0].Well)
		assert.Contains(t, r.Failures[0].Situation, "2 of 3 known nodes are missing")
		assert.EqualValues(t, 6, r.Rules[0].Overshoot, "two sides more, each with all of it")
		assert.Equal(t, r.Ring.Partitions, r.Ring.Held)

		c.Heal()
		c.Settle()
		time.Sleep(10 * time.Second)
		assert.True(t, look().Failures[0].Well)
	})
}
