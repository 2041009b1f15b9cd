package middleware_test

import (
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
