package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-go/weir/limiter"
)

func ExampleLocal_Take() {
	l := limiter.NewLocal(limiter.Config{MaxKeys: 100_000})
	limit := limiter.Per(2, time.Hour)
	for range 3 {
		d, err := l.Take(context.Background(), limiter.Key("login", "192.0.2.7"), limit, 1)
		if err != nil {
			panic(err) // the limit, the key or the cost cannot be
		}
		fmt.Println(d.Allowed, d.Remaining, d.RetryAfter > 0)
	}
	// Output:
	// true 1 false
	// true 0 false
	// false 0 true
}

func ExampleLocal_Give() {
	l := limiter.NewLocal(limiter.Config{})
	ctx, limit := context.Background(), limiter.Per(10, 24*time.Hour)
	l.Take(ctx, "emails", limit, 4)
	l.Give(ctx, "emails", limit, 1)         // one could not be sent
	d, _ := l.Take(ctx, "emails", limit, 0) // a look
	fmt.Println(d.Remaining)
	// Output: 7
}

func ExamplePer() {
	fmt.Println(limiter.Per(100, time.Minute).Validate())
	fmt.Println(limiter.Per(100, time.Microsecond).Validate())
	// Output:
	// <nil>
	// limiter: invalid limit: Window 1µs is not within 1ms to 8784h0m0s
}

// A token bucket admits a burst, and then as much as it refills.
func ExampleBucket() {
	now := time.Unix(1764000000, 0)
	l := limiter.NewLocal(limiter.Config{Now: func() time.Time { return now }})
	limit := limiter.Bucket(60, time.Minute, 3)
	for range 3 {
		d, _ := l.Take(context.Background(), "job", limit, 2)
		fmt.Println(d.Allowed, "left", d.Remaining, "retry after", d.RetryAfter)
		now = now.Add(d.RetryAfter)
	}
	// Output:
	// true left 1 retry after 0s
	// false left 1 retry after 1s
	// true left 0 retry after 0s
}

func ExampleKey() {
	fmt.Printf("%q\n", limiter.Key("login", "192.0.2.7"))
	fmt.Println(limiter.Key("ab", "c") == limiter.Key("a", "bc"))
	// Output:
	// "\x05login\t192.0.2.7"
	// false
}

// One e-mail each 10 ms: none is refused. One newsletter an hour: within a minute there is no second
// one, which is known at once.
func ExampleWait() {
	l := limiter.NewLocal(limiter.Config{}) // or a node of a cluster: then all machines queue together
	for range 3 {
		_, err := limiter.Wait(context.Background(), l, "mail", limiter.Bucket(100, time.Second, 1), 1)
		fmt.Println(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 2 {
		_, err := limiter.Wait(ctx, l, "newsletter", limiter.Bucket(1, time.Hour, 1), 1)
		fmt.Println(errors.Is(err, limiter.ErrWait))
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// false
	// true
}

// A batch of 8, of which 5 can go out now.
func ExampleTakeUpTo() {
	l, limit := limiter.NewLocal(limiter.Config{}), limiter.Per(5, time.Hour)
	n, _, err := limiter.TakeUpTo(context.Background(), l, "mail", limit, 8)
	fmt.Println(n, err)
	n, d, err := limiter.TakeUpTo(context.Background(), l, "mail", limit, 3)
	fmt.Println(n, err, d.RetryAfter > 0)
	// Output:
	// 5 <nil>
	// 0 <nil> true
}
