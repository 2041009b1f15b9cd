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
		Get: func(_ context.Context, name string) []string {
			*read = append(*read, name)
			return v[http.CanonicalHeaderKey(name)]
		},
		All: func(context.Context) iter.Seq2[string, []string] { return maps.All(v) },
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
		assert.Equal(t, "2", o.Header().Get("X-RateLimit-Limit"))
		require.Len(t, o.Decisions(), 2)
		assert.Equal(t, left, o.Decisions()[1].Decision.Remaining)
		o.Done(http.StatusOK)
		assert.Nil(t, o.Decisions(), "the exchange may be another's by now")
	}
	assert.ElementsMatch(t, []string{"X-Api-Key", "Authorization", "X-Api-Key", "Authorization"}, read,
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
	assert.Nil(t, o.Header())
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
	m := engine(t, p)
	for _, tenant := range []string{"acme", "umbrella"} {
		o, err := m.Decide(t.Context(), values{"x-tenant": {tenant}}.call(&read))
		require.NoError(t, err)
		assert.Equal(t, tenant, o.Decisions()[0].Subject)
		o.Done(http.StatusOK)
	}
	assert.Equal(t, []string{"Host", "Host"}, read, "the rest is listed")
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

// A call can ask for one rule, and hand the decisions on.
func TestDecideByRule(t *testing.T) {
	p := askedPolicy()
	p.InContext = true
	m := engine(t, p)
	ask := func(rule, subject string) middleware.Outcome {
		o, err := m.Decide(t.Context(), middleware.Call{Path: "/a", Peer: "192.0.2.1:1", Rule: rule, Subject: subject})
		require.NoError(t, err)
		return o
	}
	for range 2 {
		o := ask("user", "ann")
		require.True(t, o.Allowed)
		found := middleware.FromContext(o.Context(t.Context()))
		require.Len(t, found, 1)
		assert.Equal(t, "user", found[0].Rule)
		o.Done(http.StatusUnauthorized)
	}
	assert.Equal(t, http.StatusTooManyRequests, ask("user", "ann").Refusal.Status)
	assert.True(t, ask("user", "bob").Allowed)
	assert.Equal(t, http.StatusServiceUnavailable, ask("usr", "ann").Refusal.Status)
	assert.Equal(t, "99", ask("ip", "192.0.2.1").Header().Get("X-RateLimit-Remaining"), "the routes' rules were not asked")
}

// What a function may keep is not used again, and what a call had is not another's.
func TestCallsDoNotMix(t *testing.T) {
	key := perMinute("key", 100)
	key.Key = middleware.Header("X-Api-Key")
	m := engine(t, middleware.Policy{Default: []middleware.Rule{key}, RevealKeys: true})
	var read []string
	for _, send := range []values{{"X-Api-Key": {"a"}}, {}, {"X-Api-Key": {"b"}}} {
		o, err := m.Decide(t.Context(), send.call(&read))
		require.NoError(t, err)
		assert.Equal(t, append(send["X-Api-Key"], "")[0], o.Decisions()[0].Subject)
		o.Done(http.StatusOK)
	}
	var kept []*http.Request
	key.Key = middleware.Func(func(r *http.Request) (string, bool) {
		kept = append(kept, r)
		return r.Header.Get("X-Api-Key"), true
	})
	m = engine(t, middleware.Policy{Default: []middleware.Rule{key}})
	for _, id := range []string{"a", "b"} {
		o, err := m.Decide(t.Context(), values{"X-Api-Key": {id}}.call(&read))
		require.NoError(t, err)
		o.Done(http.StatusOK)
	}
	require.Len(t, kept, 2)
	assert.Equal(t, "a", kept[0].Header.Get("X-Api-Key"))
	assert.Equal(t, "/pkg.Auth/Login", kept[0].URL.Path)
}

// A claim is looked up in the context of Decide.
func TestDecideByClaim(t *testing.T) {
	type user struct{}
	r := perMinute("user", 3)
	r.Key = middleware.Subject()
	m := engine(t, middleware.Policy{Default: []middleware.Rule{r}, RevealKeys: true, Claims: func(ctx context.Context, _ string) (string, bool) {
		name, ok := ctx.Value(user{}).(string)
		return name, ok
	}})
	for _, name := range []string{"ann", "bob"} {
		o, err := m.Decide(context.WithValue(t.Context(), user{}, name), middleware.Call{Path: "/"})
		require.NoError(t, err)
		assert.Equal(t, name, o.Decisions()[0].Subject)
		o.Done(http.StatusOK)
	}
}

// A call costs no more memory than a request: the values of the headers.
func TestCallAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget at random")
	}
	m, ctx := engine(t, generous()), t.Context()
	c := middleware.Call{Path: "/v1/token", Peer: "192.0.2.1:1", Get: func(context.Context, string) []string { return nil }}
	allocs := testing.AllocsPerRun(1000, func() {
		o, _ := m.Decide(ctx, c)
		o.Done(http.StatusOK)
	})
	assert.LessOrEqual(t, allocs, 2.0)
}

// A host is asked for where a pattern has one, and an id where somebody hears of it.
func TestCallHostAndID(t *testing.T) {
	p := middleware.Policy{
		Default: []middleware.Rule{perMinute("default", 1)},
		Routes:  []middleware.Route{middleware.On("api.example.com/", perMinute("api", 7))},
	}
	m := engine(t, p)
	var read []string
	c := values{"Host": {"api.example.com"}, "X-Request-Id": {"id-1"}}.call(&read)
	o, err := m.Decide(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, "7", o.Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, []string{"Host"}, read)
	for range 2 {
		o, err = m.Decide(t.Context(), values{"X-Request-Id": {"id-1"}}.call(&read))
		require.NoError(t, err)
	}
	require.False(t, o.Allowed)
	assert.Equal(t, "id-1", o.Refusal.RequestID)
	assert.Equal(t, "id-1", o.Header().Get("X-Request-Id"))
}

// A map of headers is read as it is, and stays its owner's.
func TestCallHeader(t *testing.T) {
	key := perMinute("key", 5)
	key.Key = middleware.Header("X-Api-Key")
	m := engine(t, middleware.Policy{Default: []middleware.Rule{key}, RevealKeys: true})
	h := http.Header{"X-Api-Key": {"k"}, "X-Request-Id": {"id-1"}}
	for range 6 {
		o, err := m.Decide(t.Context(), middleware.Call{Path: "/", Header: h})
		require.NoError(t, err)
		assert.Equal(t, "k", o.Decisions()[0].Subject)
		if !o.Allowed {
			assert.Equal(t, "id-1", o.Refusal.RequestID)
		}
		o.Done(http.StatusOK)
		require.Len(t, h, 2)
	}
}

// Where the router ignores case, no spelling in another case escapes.
func TestCallIgnoresCase(t *testing.T) {
	token := perMinute("token", 50)
	token.Key = middleware.PathValue("id")
	p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 9)}, Routes: []middleware.Route{middleware.On("/v1/token/{id}", token)}, RevealKeys: true}
	m := engine(t, p)
	for _, path := range []string{"/v1/token/ab", "/V1/Token/AB", "/v1/%54oken/%41b", "/v1/%74OKEN/ab", "/V1//tOKEN/aB/"} {
		o, err := m.Decide(t.Context(), middleware.Call{Path: path, IgnoreCase: true})
		require.NoError(t, err)
		assert.Equal(t, "50", o.Header().Get("X-RateLimit-Limit"), path)
		assert.Equal(t, "ab", o.Decisions()[0].Subject, path)
	}
	o, err := m.Decide(t.Context(), middleware.Call{Path: "/V1/Token/ab"})
	require.NoError(t, err)
	assert.Equal(t, "9", o.Header().Get("X-RateLimit-Limit"))
	p.Routes[0].Patterns[0] = "/v1/Token/{id}"
	_, err = engine(t, p).Decide(t.Context(), middleware.Call{Path: "/", IgnoreCase: true})
	assert.ErrorContains(t, err, `"/v1/Token/{id}" has upper case`)
}
