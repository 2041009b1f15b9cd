package integration

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

// What docs/testing.md shows, letter by letter: TestPagesShowCodeThatCompiles.

// newService stands for yours: whatever makes its handler, given a limiter.
func newService(t *testing.T, l weir.Limiter) http.Handler {
	m, err := weir.New(l, weir.Policy{Default: []weir.Rule{{Name: "api", Limit: weir.Per(9, time.Hour)}}})
	require.NoError(t, err)
	return m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// send sends a request to a service and returns the status.
func send(service http.Handler) int {
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Code
}

func TestOneBudgetAlsoAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		var services []http.Handler
		for i := range 3 {
			services = append(services, newService(t, c.Node(i)))
		}
		for i := range 9 {
			assert.Equal(t, http.StatusOK, send(services[i%3]))
		}
		assert.Equal(t, http.StatusTooManyRequests, send(services[0]))

		time.Sleep(time.Second) // a flush: the others have copies
		c.Kill(0)               // who decides for this client, as it happens
		assert.Equal(t, http.StatusTooManyRequests, send(services[1]))

		time.Sleep(time.Hour) // virtual: the budget's window ends
		assert.Equal(t, http.StatusOK, send(services[1]))
	})
}

func TestServiceInASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{
			Config: func(_ int, cfg *cluster.Config) { cfg.Split = limiter.SplitShare },
		})
		c.Split([]int{0, 1}, []int{2})
		time.Sleep(time.Minute) // each side has noticed
		admitted := 0
		for i := range 60 {
			if send(newService(t, c.Node(i%3))) == http.StatusOK {
				admitted++
			}
		}
		assert.LessOrEqual(t, admitted, 9, "both sides together")
		assert.Positive(t, admitted, "and they serve")

		c.Heal()
		c.Settle()
		d, err := c.Node(2).Take(t.Context(), "worker", weir.Per(5, time.Hour), 1)
		require.NoError(t, err)
		assert.False(t, d.Degraded, "whole again")
	})
}

func TestServiceWhileANodeStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		c.Pause(1) // as SIGSTOP, or a machine that swaps
		began := time.Now()
		for range 9 {
			send(newService(t, c.Node(0)))
		}
		assert.Less(t, time.Since(began), 9*5*time.Second, "answers come in bounded time")
		c.Resume(1)
		c.Settle()
	})
}

func TestServiceOnOneProcess(t *testing.T) {
	now := time.Now()
	service := newService(t, weir.NewLocal(weir.LocalConfig{Now: func() time.Time { return now }}))
	for range 9 {
		assert.Equal(t, http.StatusOK, send(service))
	}
	assert.Equal(t, http.StatusTooManyRequests, send(service))
	now = now.Add(time.Hour)
	assert.Equal(t, http.StatusOK, send(service))
}

func TestMyAdapter(t *testing.T) {
	t.Parallel() // two rows wait a second each
	myServer := func(t *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
		return middlewaretest.Wrapped(t, m, endpoints) // your framework, with your adapter
	}
	middlewaretest.ServerContract(t, "my framework", myServer, nodes.Local)
}
