package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// stackedCluster is three nodes with the same policy in front of each.
type stackedCluster struct {
	nodes    []*cluster.Node
	handlers []http.Handler
}

func startStacked(t *testing.T, p middleware.Policy, h http.Handler) *stackedCluster {
	t.Helper()
	s := &stackedCluster{nodes: startCluster(t, 3)}
	for _, n := range s.nodes {
		m, err := middleware.New(n, p)
		require.NoError(t, err)
		s.handlers = append(s.handlers, m.Wrap(h))
	}
	return s
}

// send sends one request by one of the nodes.
func (s *stackedCluster) send(node int, path, address, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = address + ":40000"
	r.Header.Set("X-Api-Key", key)
	w := httptest.NewRecorder()
	s.handlers[node%len(s.handlers)].ServeHTTP(w, r)
	return w
}

// requireSpent checks that every node says that so much has been taken from a budget: at
// once, since a look is never answered from memory.
func (s *stackedCluster) requireSpent(t *testing.T, want int64, r middleware.Rule, subject string) {
	t.Helper()
	for i, n := range s.nodes {
		d, err := n.Take(t.Context(), limiter.Key(r.Name, subject), r.Limit, 0)
		require.NoError(t, err)
		require.False(t, d.Degraded)
		require.Equal(t, want, r.Limit.Quota-d.Remaining, "node %d, %s %q", i, r.Name, subject)
	}
}

// forwarded is how many takes have gone to another node.
func (s *stackedCluster) forwarded() (n int64) {
	for _, node := range s.nodes {
		n += node.Stats().Forwarded
	}
	return n
}

func perDay(name string, quota int64, key middleware.Key) middleware.Rule {
	l := limiter.Limit{Quota: quota, Window: 24 * time.Hour, Lease: limiter.LeaseOff} // what remains is to be exact
	return middleware.Rule{Name: name, Limit: l, Key: key}
}

// A request that one rule of a stack denies spends from none of the others, although their
// budgets live on other nodes: what each budget holds at the end is what was admitted.
func TestStackedDeniedSpendsFromNone(t *testing.T) {
	const addresses, keys, workers, rounds = 6, 5, 9, 60
	all := perDay("all", 1000, middleware.Shared())
	ip := perDay("ip", 40, middleware.ClientIP())
	key := perDay("key", 45, middleware.Header("X-Api-Key"))
	s := startStacked(t, middleware.Policy{Default: []middleware.Rule{all, ip, key}}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	before := s.forwarded()

	var byAddress [addresses]atomic.Int64
	var byKey [keys]atomic.Int64
	var sum, denied, other atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range rounds {
				a, k := (worker+i)%addresses, (worker+i/2)%keys
				switch s.send(worker+i, "/", fmt.Sprint("192.0.2.", a), fmt.Sprint("key", k)).Code {
				case http.StatusOK:
					byAddress[a].Add(1)
					byKey[k].Add(1)
					sum.Add(1)
				case http.StatusTooManyRequests:
					denied.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, other.Load())
	require.Positive(t, denied.Load())
	require.Greater(t, s.forwarded(), before, "budgets live on other nodes")
	for i := range byAddress {
		s.requireSpent(t, byAddress[i].Load(), ip, fmt.Sprint("192.0.2.", i))
	}
	for i := range byKey {
		s.requireSpent(t, byKey[i].Load(), key, fmt.Sprint("key", i))
	}
	s.requireSpent(t, sum.Load(), all, "")

	// Alone: whoever is denied by a spent key leaves the other two as they are.
	for i := byKey[0].Load(); i < key.Limit.Quota; i++ {
		require.Equal(t, http.StatusOK, s.send(int(i), "/", fmt.Sprint("198.51.100.", i), "key0").Code)
	}
	wasAll := sum.Load() + key.Limit.Quota - byKey[0].Load()
	for i := range 30 {
		assert.Equal(t, http.StatusTooManyRequests, s.send(i, "/", "203.0.113.1", "key0").Code)
	}
	s.requireSpent(t, wasAll, all, "")
	s.requireSpent(t, 0, ip, "203.0.113.1")
}

// Logins that succeed and fail at once, over all nodes: what is spent at the end is what
// failed, and never more failures than the limit got through.
func TestOutcomesOverTheCluster(t *testing.T) {
	const quota, users, workers, rounds = 12, 6, 9, 40
	login := perDay("login", quota, middleware.Header("X-Api-Key"))
	login.Count = middleware.CountStatuses(http.StatusUnauthorized, http.StatusForbidden)
	s := startStacked(t, middleware.Policy{Default: []middleware.Rule{login}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrong" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	before := s.forwarded()
	var failed [users]atomic.Int64
	var other atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range rounds {
				u, path := (worker+i)%users, "/right"
				if (worker+i)%4 == 0 {
					path = "/wrong"
				}
				switch s.send(i, path, "192.0.2.1", fmt.Sprint("user", u)).Code {
				case http.StatusUnauthorized:
					failed[u].Add(1)
				case http.StatusOK, http.StatusTooManyRequests:
				default:
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, other.Load())
	require.Greater(t, s.forwarded(), before, "budgets live on other nodes")
	for u := range failed {
		name := fmt.Sprint("user", u)
		assert.LessOrEqual(t, failed[u].Load(), int64(quota), name)
		s.requireSpent(t, failed[u].Load(), login, name) // what was right is given back, what was wrong is not
		for i := failed[u].Load(); i < quota; i++ {
			require.Equal(t, http.StatusOK, s.send(int(i), "/right", "192.0.2.1", name).Code)
			require.Equal(t, http.StatusUnauthorized, s.send(int(i), "/wrong", "192.0.2.1", name).Code)
		}
		assert.Equal(t, http.StatusTooManyRequests, s.send(u, "/right", "192.0.2.1", name).Code, "%s has used it up", name)
	}
}
