package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func TestEvents(t *testing.T) {
	type ctxKey struct{}
	p := middleware.ReferencePolicy()
	var events []middleware.Event
	p.OnDecision = func(e middleware.Event) { events = append(events, e) }
	trace := func(r *http.Request) { *r = *r.WithContext(context.WithValue(r.Context(), ctxKey{}, "trace")) }
	secret := set("X-Forwarded-For", "203.0.113.99")
	h := wrap(t, &script{}, p, teapot)
	get(h, "/v1/agents/secret-path?token=secret", trace, secret, from("192.0.2.77:1"))
	post := func(r *http.Request) { r.Method = http.MethodPost }
	get(h, "/v1/token", post)
	get(h, "/.well-known/jwks.json")
	require.Len(t, events, 2, "none for exempt routes")
	e := events[0]
	assert.Equal(t, "trace", e.Context.Value(ctxKey{}))
	assert.NotZero(t, e.KeyID)
	e.Context, e.Took, e.KeyID = nil, 0, 0
	assert.Equal(t, middleware.Event{
		Method: "GET", Rule: "default", Limit: limiter.Per(100, time.Minute), Cost: 1,
		Decision: limiter.Decision{Allowed: true, Remaining: 41, ResetAfter: 42 * time.Second},
	}, e)
	assert.Equal(t, "POST /v1/token", events[1].Pattern)
	for _, e := range events {
		e.Context = nil
		text := fmt.Sprintf("%+v", e)
		for _, raw := range []string{"192.0.2", "203.0.113", "secret"} {
			assert.NotContains(t, text, raw, "never a raw key unless asked for")
		}
	}
}

func TestRevealKeys(t *testing.T) {
	p := by(middleware.Key{})
	p.RevealKeys = true
	var subjects []string
	p.OnDecision = func(e middleware.Event) { subjects = append(subjects, e.Subject) }
	h := wrap(t, &script{}, p, teapot)
	get(h, "/", from("192.0.2.1:1"))
	get(h, "/", from("192.0.2.22:1"))
	assert.Equal(t, []string{"192.0.2.1", "192.0.2.22"}, subjects, "copies, which later requests do not change")
}

// A hook can be slow or fail; budget and headers are right nonetheless.
func TestHooksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter.NewLocal(limiter.Config{})
		p := middleware.Policy{Default: []middleware.Rule{{Name: "default", Limit: limiter.Per(3, 24*time.Hour)}}}
		p.Default[0].Count = func(status int) bool { return status != http.StatusTeapot }
		calls := 0
		p.OnDecision = func(middleware.Event) {
			if calls++; calls%2 == 0 {
				panic("hook")
			}
			time.Sleep(time.Second)
		}
		m, err := middleware.New(l, p)
		require.NoError(t, err)
		ok := m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for i := range 3 {
			w := get(m.Wrap(teapot), "/") // is given back, and its hook fails as well
			assert.Equal(t, http.StatusTeapot, w.Code)
			w = get(ok, "/")
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, fmt.Sprint(2-i), w.Header().Get("X-RateLimit-Remaining"))
		}
		assert.Equal(t, http.StatusTooManyRequests, get(ok, "/").Code)
		assert.Equal(t, int64(calls/2), m.Stats().HookPanics)
	})
}

// A hook that takes its time delays the request that it hears of, and no other one: the
// decision is made by then, and nothing is locked.
func TestSlowHookHoldsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := daily(100)
		p.OnDecision = func(e middleware.Event) {
			if e.Method == http.MethodPost {
				time.Sleep(time.Second)
			}
		}
		h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
		var slow sync.WaitGroup
		for range 3 {
			slow.Go(func() { get(h, "/", func(r *http.Request) { r.Method = http.MethodPost }) })
		}
		synctest.Wait() // all three are in their hooks
		start := time.Now()
		assert.Equal(t, "96", get(h, "/").Header().Get("X-RateLimit-Remaining"))
		assert.Equal(t, start, time.Now())
		slow.Wait()
		assert.Equal(t, "95", get(h, "/").Header().Get("X-RateLimit-Remaining"))
	})
}

// forgetful cannot take anything back.
type forgetful struct{ *script }

func (forgetful) Give(context.Context, string, limiter.Limit, int64) error {
	return errors.New("no answer")
}

// An event says how its decision came about; a degraded one is that, whatever else the limiter says.
func TestEventPath(t *testing.T) {
	for _, c := range []struct {
		decision limiter.Decision
		want     string
	}{
		{limiter.Decision{Allowed: true}, "held"},
		{limiter.Decision{Allowed: true, Path: limiter.PathForwarded}, "forwarded"},
		{limiter.Decision{Allowed: true, Path: limiter.PathLeased}, "leased"},
		{limiter.Decision{RetryAfter: time.Second, Path: limiter.PathRemembered}, "remembered"},
		{limiter.Decision{Allowed: true, Degraded: true}, "degraded"},
	} {
		p, seen := by(middleware.Key{}), ""
		p.OnDecision = func(e middleware.Event) { seen = e.Path.String() }
		get(wrap(t, always(c.decision, nil), p, teapot), "/")
		assert.Equal(t, c.want, seen)
	}
}

func TestLostReturns(t *testing.T) {
	p := by(middleware.Key{})
	p.Default[0].Count = middleware.CountFailures
	m, err := middleware.New(forgetful{&script{}}, p)
	require.NoError(t, err)
	get(m.Wrap(http.NotFoundHandler()), "/")
	assert.Zero(t, m.Stats())
	get(m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/")
	assert.Equal(t, middleware.Stats{LostReturns: 1}, m.Stats())
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := middleware.Admitted; v <= middleware.Banned; v++ {
		assert.NotEqual(t, "unknown", v.String())
		assert.False(t, seen[v.String()])
		seen[v.String()] = true
	}
	assert.Equal(t, "unknown", (middleware.Banned + 1).String())
}
