package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// The ten lines that guard a service: one budget of 3 per hour and address, and a route
// that is never limited.
func ExampleNew() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {})

	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.Policy{
		Default: []middleware.Rule{{Name: "default", Limit: limiter.Per(3, 24*time.Hour)}},
		Routes:  []middleware.Route{middleware.Exempt("GET /health")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	guarded := m.Wrap(mux)

	for range 4 {
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Code, w.Header().Get("X-RateLimit-Remaining"))
	}
	// Output:
	// 200 2
	// 200 1
	// 200 0
	// 429 0
}

// Per API key where there is one, else per address; and per user with a limit that
// depends on the plan.
func ExampleRule() {
	perKey := middleware.Rule{
		Name:  "key",
		Limit: limiter.Per(100, time.Minute),
		Key:   middleware.FirstOf(middleware.Header("X-Api-Key"), middleware.ClientIP()),
	}
	perUser := middleware.Rule{
		Name:  "user",
		Limit: limiter.Per(100, time.Hour),
		Key:   middleware.Subject(),
		Plan:  middleware.Claim("plan"),
		Plans: map[string]limiter.Limit{"pro": limiter.Per(500, time.Hour)},
	}
	p := middleware.Policy{Default: []middleware.Rule{perKey, perUser}}
	fmt.Println(p.Check())
	// Output:
	// middleware: invalid policy: Default[1].Key (rule "user"): claim sub: the policy has no Claims function
}

// A program looks at a budget, and gives back what a client lost by no fault of its own.
func ExampleBudgetKey() {
	l := limiter.NewLocal(limiter.Config{})
	limit := limiter.Per(5, 24*time.Hour)
	m, err := middleware.New(l, middleware.Policy{Default: []middleware.Rule{
		{Name: "login", Limit: limit, Key: middleware.Join(middleware.Header("X-Tenant"), middleware.ClientIP())},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	r.Header.Set("X-Tenant", "acme")
	r.RemoteAddr = "192.0.2.7:40000"
	m.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)

	key := middleware.BudgetKey("login", "acme", "192.0.2.7")
	left := func() {
		d, err := l.Take(context.Background(), key, limit, 0) // a cost of 0 only looks
		fmt.Println(d.Remaining, err)
	}
	left()
	fmt.Println(l.Give(context.Background(), key, limit, 1))
	left()
	// Output:
	// 4 <nil>
	// <nil>
	// 5 <nil>
}

// What a request would meet, what a subject has left, and how it is let off: a ban is lifted, too.
func ExampleMiddleware_Look() {
	login := middleware.Rule{Name: "login", Limit: limiter.Per(3, 24*time.Hour), Ban: middleware.Ban{After: 5, For: time.Hour}}
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{login}})
	if err != nil {
		fmt.Println(err)
		return
	}
	request := httptest.NewRequest("POST", "/login", nil) // from 192.0.2.1
	for range 9 {
		m.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), request)
	}
	for _, e := range m.Explain(request) {
		fmt.Println("a request:", e.Rule, e.Verdict)
	}
	looks, err := m.Look(request.Context(), "login", "192.0.2.1")
	for _, l := range looks[:2] {
		fmt.Println(l.Of, "refuses:", l.Refuses, err)
	}
	fmt.Println(m.Reset(request.Context(), "login", "192.0.2.1"))
	for _, e := range m.Explain(request) {
		fmt.Println("a request:", e.Rule, e.Verdict)
	}
	// Output:
	// a request: login banned
	// rule refuses: true <nil>
	// ban refuses: true <nil>
	// <nil>
	// a request: login returned
}
