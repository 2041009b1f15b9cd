package middleware_test

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// values are the metadata of a call, in lower case as gRPC has them.
type values map[string][]string

// call is a call with these metadata, which notes what is read.
func (v values) call(read *[]string) middleware.Call {
	return middleware.Call{
		Path: "/pkg.Auth/Login", Peer: "192.0.2.1:1",
		Get: func(name string) []string {
			*read = append(*read, name)
			return v[http.CanonicalHeaderKey(name)]
		},
		All: iter.Seq2[string, []string](maps.All(v)),
	}
}

// A call meets the rules that a request of the same path, peer and headers meets.
func TestDecide(t *testing.T) {
	key, ip := perMinute("key", 2), perMinute("ip", 9)
	key.Key = middleware.Join(middleware.Header("x-api-key"), middleware.Bearer())
	m := engine(t, middleware.Policy{
		Default: []middleware.Rule{perMinute("default", 50)},
		Routes:  []middleware.Route{middleware.On("POST /pkg.Auth/", ip, key)},
	})
	var read []string
	c := values{"X-Api-Key": {"k"}, "Authorization": {"Bearer t"}}.call(&read)
	for left := int64(1); left >= 0; left-- {
		o, err := m.Decide(t.Context(), c)
		require.NoError(t, err)
		require.True(t, o.Allowed)
		assert.Equal(t, "2", o.Header.Get("X-RateLimit-Limit"))
		require.Len(t, o.Decisions(), 2)
		assert.Equal(t, left, o.Decisions()[1].Decision.Remaining)
		o.Done(http.StatusOK)
		assert.Nil(t, o.Decisions(), "the exchange may be another's by now")
	}
	assert.ElementsMatch(t, []string{"X-Request-Id", "X-Api-Key", "Authorization", "X-Request-Id", "X-Api-Key", "Authorization"}, read,
		"what no key reads is not made")
	o, err := m.Decide(t.Context(), c)
	require.NoError(t, err)
	assert.False(t, o.Allowed)
	assert.Equal(t, http.StatusTooManyRequests, o.Refusal.Status)
	assert.Equal(t, []string{"key"}, o.Refusal.Rules)
	assert.Positive(t, o.Refusal.RetryAfter)
	w := httptest.NewRecorder()
	o.Write(w)
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Contains(t, w.Body.String(), o.Refusal.RequestID)
	o.Done(0)

	c.Path = "/pkg.Auth/%4cogin"
	o, err = m.Decide(t.Context(), c)
	require.NoError(t, err)
	assert.False(t, o.Allowed, "no spelling escapes")
}

// What is exempt has no headers, and the outcome counts as for requests.
func TestDecideByOutcome(t *testing.T) {
	p := failures(1)
	p.Routes = []middleware.Route{middleware.Exempt("/grpc.health.v1.Health/Check")}
	m := engine(t, p)
	for _, status := range []int{200, 401} {
		o, err := m.Decide(t.Context(), middleware.Call{Path: "/a", Peer: "192.0.2.1:1"})
		require.NoError(t, err)
		require.True(t, o.Allowed)
		o.Done(status)
	}
	o, err := m.Decide(t.Context(), middleware.Call{Path: "/a", Peer: "192.0.2.1:1"})
	require.NoError(t, err)
	assert.False(t, o.Allowed)
	o, err = m.Decide(t.Context(), middleware.Call{Path: "/grpc.health.v1.Health/Check"})
	require.NoError(t, err)
	assert.True(t, o.Allowed)
	assert.Nil(t, o.Header)
}

// A refusal settles everything: what Done says of it changes nothing.
func TestDoneAfterRefusal(t *testing.T) {
	blocked := perMinute("blocked", 0)
	p := failures(5)
	p.Routes = []middleware.Route{middleware.On("/blocked", p.Default[0], blocked)}
	p.Default = []middleware.Rule{perMinute("other", 5)}
	m := engine(t, p)
	for left := int64(4); left > 1; left-- {
		o, err := m.Decide(t.Context(), middleware.Call{Path: "/blocked", Peer: "192.0.2.1:1"})
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, o.Refusal.Status)
		assert.Equal(t, left, o.Decisions()[0].Decision.Remaining, "a 403 is a failure, and spent")
		o.Done(http.StatusOK)
	}
}

// A function of the program may look at any header, and at the context.
func TestDecideByFunction(t *testing.T) {
	r := perMinute("tenant", 3)
	r.Key = middleware.Func(func(r *http.Request) (string, bool) { return r.Header.Get("X-Tenant"), true })
	p := middleware.Policy{Default: []middleware.Rule{r}, RevealKeys: true}
	var read []string
	o, err := engine(t, p).Decide(t.Context(), values{"x-tenant": {"acme"}}.call(&read))
	require.NoError(t, err)
	assert.Equal(t, "acme", o.Decisions()[0].Subject)
	assert.Empty(t, read)
}

// A context that is over is no decision.
func TestDecideCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := middleware.New(always(denied, context.Canceled), failures(1))
	require.NoError(t, err)
	o, err := m.Decide(ctx, middleware.Call{Path: "/"})
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, o.Allowed)
}

// A log line wants the tenant and the address, not the subject that both are hidden in.
func TestEventTells(t *testing.T) {
	r := perMinute("both", 3)
	r.Key = middleware.Join(middleware.FirstOf(middleware.Header("X-Api-Key"), middleware.Header("X-Tenant")), middleware.Join(middleware.ClientIP(), middleware.Shared()))
	p := middleware.Policy{Default: []middleware.Rule{r}, RevealKeys: true}
	var told []middleware.Event
	p.OnDecision = func(e middleware.Event) { told = append(told, e) }
	slow := &script{}
	h := wrap(t, slow, p, teapot)
	get(h, "/", from("192.0.2.7:1"), set("X-Tenant", "ac:me"), set("X-Request-Id", "id-1"))
	require.Len(t, told, 1)
	assert.Equal(t, []string{"ac:me", "192.0.2.7", ""}, told[0].Parts)
	assert.Equal(t, "id-1", told[0].RequestID)
	assert.Positive(t, told[0].Took)
	assert.Less(t, told[0].Took, time.Minute)

	get(h, "/", from("192.0.2.7:1"))
	assert.Equal(t, []string{""}, told[1].Parts, "the shared budget")
	assert.Empty(t, told[1].RequestID, "no name is made for what nobody refers to")

	get(wrap(t, always(denied, nil), p, teapot), "/")
	require.Len(t, told, 3)
	assert.Len(t, told[2].RequestID, 36, "a refusal has one")
}
