package policyfile

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// limitShown is the limit that a response shows.
func limitShown(m *middleware.Middleware) string {
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Header().Get("X-RateLimit-Limit")
}

// fileOnly are the fields of a policy that a file fills, and a file that fills them all.
var fileOnly = []string{
	"Default", "Routes", "Always", "Address", "Dialects", "ExposeHeaders", "HideDegraded", "KeepHeaders", "EchoRequestID", "Problem", "Shadow",
	"SkipMethods", "Namespace", "Deny", "Allow", "Domains",
}

const everyField = `
default: [{name: a, quota: 1, window: 1s}]
always: [{name: b, quota: 1, window: 1s}]
routes: [{pattern: /, exempt: true}]
address: {hops: 1}
deny: [192.0.2.0/24]
domains: [{domain: edge, descriptors: [{key: path, unlimited: true}]}]
allow: [{key: {header: X-Api-Key}, subjects: [probe]}]
headers: [ietf]
skip_methods: [OPTIONS]
namespace: n
exposeHeaders: true
hideDegraded: true
keepHeaders: true
echoRequestId: true
problem: true
shadow: true
`

// Each field of a policy comes from the file or from the hooks, and never from both: so
// neither can drop what the other says.
func TestEveryFieldHasOneSource(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", http.NotFound)
	hooks := Hooks{
		Claims:     func(context.Context, string) (string, bool) { return "", false },
		Respond:    func(http.ResponseWriter, *http.Request, middleware.Refusal) {},
		RequestID:  func(*http.Request) string { return "" },
		Skip:       func(*http.Request) bool { return false },
		OnDecision: func(middleware.Event) {},
		RevealKeys: true,
		InContext:  true,
		Asked:      []middleware.Rule{{Name: "asked", Limit: limiter.Per(1, time.Minute)}},
		Mux:        mux,
		Known:      func(string) bool { return true },
		Route:      func(*http.Request) string { return "" },
		Now:        time.Now,
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Hooks]()) {
		assert.False(t, reflect.ValueOf(hooks).FieldByIndex(f.Index).IsZero(), "%s is filled by this test", f.Name)
	}
	file, err := Parse([]byte(everyField), Options{})
	require.NoError(t, err)
	_, err = Parse([]byte(everyField), Options{Hooks: hooks})
	require.ErrorContains(t, err, "problem: true has no effect here", "a hook would drop what the file says")
	both, err := Parse([]byte(everyField[:len(everyField)-len("problem: true\nshadow: true\n")]), Options{Hooks: hooks})
	require.NoError(t, err)

	for _, f := range reflect.VisibleFields(reflect.TypeFor[middleware.Policy]()) {
		if !f.IsExported() {
			continue // what the check keeps for itself
		}
		_, hook := reflect.TypeFor[Hooks]().FieldByName(f.Name)
		inFile := false
		for _, name := range fileOnly {
			inFile = inFile || name == f.Name
		}
		require.True(t, hook != inFile, "%s comes from the file or from the hooks", f.Name)
		if hook {
			assert.False(t, reflect.ValueOf(both).FieldByIndex(f.Index).IsZero(), "the hook %s gets there", f.Name)
			continue
		}
		assert.False(t, reflect.ValueOf(file).FieldByIndex(f.Index).IsZero(), "the file can say %s", f.Name)
	}
}

// A program completes what the file says before it is checked, and what it refuses is told
// like any other mistake of the file.
func TestAdjust(t *testing.T) {
	text := []byte("default: [{name: a, quota: 1, window: 1s}]\n")
	adjust := func(f func(p *middleware.Policy) error) Options { return Options{Adjust: f} }
	p, err := Parse(text, adjust(func(p *middleware.Policy) error {
		p.Routes = append(p.Routes, middleware.Exempt("/health"))
		return nil
	}))
	require.NoError(t, err)
	assert.Equal(t, "/health", p.Routes[0].Patterns[0])

	_, err = Parse(text, adjust(func(*middleware.Policy) error { return errors.New("no") }))
	require.ErrorIs(t, err, middleware.ErrPolicy)
	assert.EqualError(t, err, "policyfile: no")
	_, err = Parse(text, adjust(func(*middleware.Policy) error {
		return &Error{Field: "address.hops", Value: "1", Reason: "is not for this program"}
	}))
	assert.EqualError(t, err, "policyfile: address.hops: 1 is not for this program")
	_, err = Parse(text, adjust(func(p *middleware.Policy) error { p.Routes = []middleware.Route{{}}; return nil }))
	assert.EqualError(t, err, "policyfile: 1: routes[0].pattern: is missing", "what it spoils is found")
}
