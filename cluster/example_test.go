package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// All that a service needs: a node, a policy, and its own handler in between. With
// Bind, Join and Secret set, every process that runs this shares one budget.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})

	node, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Leave(context.Background())
	guard, err := middleware.New(node, middleware.Policy{
		Default: []middleware.Rule{{Name: "default", Limit: limiter.Per(2, 24*time.Hour)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := guard.Wrap(mux) // for http.Server

	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Code, w.Header().Get("X-RateLimit-Remaining"))
	}
	// Output:
	// 200 1
	// 200 0
	// 429 0
}

// A budget can be asked directly, for what is no HTTP request.
func ExampleNode_Take() {
	ctx := context.Background()
	node, err := cluster.Start(ctx, cluster.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()

	mails := limiter.Per(10, 24*time.Hour)
	key := limiter.Key("mail", "alice@example.com")
	for _, recipients := range []int64{7, 4, 3} {
		d, err := node.Take(ctx, key, mails, recipients)
		fmt.Println(recipients, d.Allowed, d.Remaining, err)
	}
	if err := node.Give(ctx, key, mails, 3); err != nil { // the last ones bounced
		fmt.Println(err)
	}
	d, err := node.Take(ctx, key, mails, 0) // a look
	fmt.Println(d.Remaining, err)
	// Output:
	// 7 true 3 <nil>
	// 4 false 3 <nil>
	// 3 true 0 <nil>
	// 3 <nil>
}

// Whoever leaves loses nothing: what it counted is with the others before it goes.
func ExampleNode_Leave() {
	ctx := context.Background()
	first, err := cluster.Start(ctx, cluster.Config{Name: "first"})
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := cluster.Start(ctx, cluster.Config{Name: "second", Join: []string{first.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()

	daily := limiter.Per(10, 24*time.Hour)
	for range 4 {
		if _, err := first.Take(ctx, "key", daily, 1); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(first.Leave(ctx))
	d, err := second.Take(ctx, "key", daily, 0)
	fmt.Println(d.Remaining, err)
	// Output:
	// <nil>
	// 6 <nil>
}

// Why is this client limited? Who decides, what was counted, what is left; then all of it is given
// back.
func ExampleNode_Explain() {
	ctx := context.Background()
	node, err := cluster.Start(ctx, cluster.Config{Name: "first"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()

	daily := limiter.Per(10, 24*time.Hour)
	for range 12 {
		if _, err := node.Take(ctx, "key", daily, 1); err != nil {
			fmt.Println(err)
		}
	}
	e, err := node.Explain(ctx, "key", daily)
	fmt.Println(e.Holder, e.Counts, e.Decision.Remaining, err)
	fmt.Println(node.Reset(ctx, "key", daily))
	e, err = node.Explain(ctx, "key", daily)
	fmt.Println(e.Holder, e.Counts, e.Decision.Remaining, err)
	// Output:
	// first [{first 10 0}] 0 <nil>
	// <nil>
	// first [] 10 <nil>
}
