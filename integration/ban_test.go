package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// banned is how long a client is told to wait by each node, 0 where it is admitted.
func banned(t *testing.T, nodes []http.Handler, client string) (waits []time.Duration) {
	t.Helper()
	for _, h := range nodes {
		r, w := httptest.NewRequest(http.MethodPost, "/login", nil), httptest.NewRecorder()
		r.RemoteAddr = client + ":40000"
		h.ServeHTTP(w, r)
		n, _ := strconv.Atoi(w.Header().Get("Retry-After"))
		require.Equal(t, n > 0, w.Code == http.StatusTooManyRequests)
		waits = append(waits, time.Duration(n)*time.Second)
	}
	return waits
}

// Whom one node bans is banned on all of them, until the same instant, also by those that hear of
// it when a split heals; whoever holds the ban may crash meanwhile.
func TestBansAreOfTheWholeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clustertest.New(t, 3, clustertest.Options{})
		var nodes []http.Handler
		for i := range 3 {
			m, err := middleware.New(lab.Node(i), middleware.Policy{Default: []middleware.Rule{{
				Name: "login", Limit: limiter.Per(2, time.Minute),
				Ban: middleware.Ban{After: 5, For: 10 * time.Minute, Max: 2 * time.Hour},
			}}})
			require.NoError(t, err)
			nodes = append(nodes, m.Wrap(http.NotFoundHandler()))
		}
		ban := func(i int, client string) time.Duration {
			var wait time.Duration
			for n := 0; wait <= time.Minute; n++ {
				require.Less(t, n, 16)
				wait = banned(t, nodes[i:i+1], client)[0]
			}
			return wait
		}
		assert.Equal(t, 10*time.Minute, ban(0, "192.0.2.1"))
		time.Sleep(5 * time.Minute)
		for _, wait := range banned(t, nodes, "192.0.2.1") {
			assert.InDelta(t, 5*time.Minute, wait, float64(time.Second))
		}
		assert.Equal(t, make([]time.Duration, 2), banned(t, nodes[:2], "192.0.2.2"), "nobody else is banned")
		time.Sleep(5*time.Minute + time.Second)
		assert.Equal(t, make([]time.Duration, 2), banned(t, nodes[1:], "192.0.2.1"), "all let it in again")

		lab.Split([]int{0}, []int{1, 2})
		time.Sleep(30 * time.Second)
		for i := range 20 {
			ban(0, fmt.Sprintf("192.0.2.%d", 100+i))
		}
		lab.Heal()
		lab.Settle()
		lab.Kill(0)
		time.Sleep(time.Second)
		for i := range 20 {
			for _, wait := range banned(t, nodes[1:], fmt.Sprintf("192.0.2.%d", 100+i)) {
				assert.Greater(t, wait, 5*time.Minute, "client %d", i)
			}
		}
	})
}
