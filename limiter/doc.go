// Package limiter limits rates within one process, and has the words in which limits are
// told to a cluster of them:
//
//	l := limiter.NewLocal(limiter.Config{})
//	d, err := l.Take(ctx, limiter.Key("login", ip), limiter.Per(100, time.Minute), 1)
//	// d.Allowed, d.Remaining; or come back after d.RetryAfter
//
// A [Limit] is a quota per window, counted by one of three algorithms. It is an argument of
// every take, so there is nothing to register, and another quota applies at once. A budget
// belongs to a key ([Key] joins the parts of one), a window and an algorithm.
//
// [Wait] takes, and waits as long as the budget says, in one queue with all others who wait;
// [TakeUpTo] takes as much as there is.
//
// A [Local] allocates nothing for a key that it knows, takes one lock, and waits for nobody;
// it stores a key in some 64 bytes, never more than [Config].MaxKeys of them. A node of
// package cluster has the same methods, over all processes together, and package
// middleware puts either in front of an HTTP handler.
//
// All is integer arithmetic, rounded to the side that admits less. Who waits exactly
// [Decision].RetryAfter is admitted, if nobody else takes meanwhile.
package limiter
