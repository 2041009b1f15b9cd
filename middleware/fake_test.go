package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// asked is one question that a script was asked.
type asked struct {
	key   string
	limit limiter.Limit
	cost  int64
}

// script is a limiter that answers as a test tells it, by default with 41 of the quota
// left and a reset in 42 s.
type script struct {
	answer func(q asked) (limiter.Decision, error)

	mu    sync.Mutex
	takes []asked
	gives []asked
}

func (s *script) Take(_ context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	q := asked{strings.Clone(key), l, cost}
	s.mu.Lock()
	s.takes = append(s.takes, q)
	s.mu.Unlock()
	if s.answer != nil {
		return s.answer(q)
	}
	return limiter.Decision{Allowed: true, Remaining: 41, ResetAfter: 42 * time.Second}, nil
}

func (s *script) Give(ctx context.Context, key string, l limiter.Limit, cost int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gives = append(s.gives, asked{strings.Clone(key), l, cost})
	return nil
}

// ruleOf is the name of the rule that a key begins with.
func ruleOf(key string) string { return key[1 : 1+key[0]] }

// always answers every question alike.
func always(d limiter.Decision, err error) *script {
	return &script{answer: func(asked) (limiter.Decision, error) { return d, err }}
}

var (
	denied   = limiter.Decision{ResetAfter: 42 * time.Second, RetryAfter: 41500 * time.Millisecond}
	degraded = limiter.Decision{Allowed: true, Degraded: true, Remaining: 3, ResetAfter: time.Second}
)

// teapot is a handler whose answers cannot be the middleware's.
var teapot = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

// perMinute is a rule by client address.
func perMinute(name string, quota int64) middleware.Rule {
	return middleware.Rule{Name: name, Limit: limiter.Per(quota, time.Minute)}
}

// by is a policy of one default rule with that key.
func by(k middleware.Key) middleware.Policy {
	r := perMinute("default", 100)
	r.Key = k
	return middleware.Policy{Default: []middleware.Rule{r}}
}

// wrap is New and Wrap.
func wrap(t testing.TB, l middleware.Limiter, p middleware.Policy, h http.Handler) http.Handler {
	t.Helper()
	m, err := middleware.New(l, p)
	require.NoError(t, err)
	return m.Wrap(h)
}

// get sends a request and returns the answer.
func get(h http.Handler, target string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// subject is what a policy takes a request for, as OnDecision tells it.
func subject(t *testing.T, p middleware.Policy, target string, edit ...func(*http.Request)) string {
	t.Helper()
	var got []string
	p.RevealKeys = true
	p.OnDecision = func(e middleware.Event) { got = append(got, e.Subject) }
	get(wrap(t, &script{}, p, teapot), target, edit...)
	require.Len(t, got, 1)
	return got[0]
}

// set is an edit that adds header values, in order.
func set(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) {
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
}

// from is an edit that sets the socket's peer.
func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr }
}
