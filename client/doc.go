// Package client is the reading side of weir's HTTP contract: a transport for any
// [http.Client] that understands rate limits. One call through a [Transport]
//
//  1. waits, if asked to pace itself, until the budget it knows of has room;
//  2. sends the request through Base;
//  3. reads the answer's rate-limit headers, in whichever dialect they are, and
//     keeps them for [Transport.LastRateLimit];
//  4. if the answer is a refusal that may be repeated, tells [Transport.OnWait], waits
//     at least Retry-After (reading the refusal to its end meanwhile) and goes back to
//     1, within a bounded number of attempts and a bounded time;
//  5. returns the last answer, or on request a [*RateLimitError] in its place.
//
// What a header does not say, or says in a way that cannot be right, is unknown:
// never a guess, never an error. See [ParseRateLimit] for the dialects.
//
// # What is sent again
//
// Only a request whose body can be had again: none, [http.NoBody] or one with
// GetBody. Of those:
//
//   - 429, any method. A limiter refuses before the handler runs, so nothing has
//     happened yet that a repetition could do twice.
//   - 403 with Retry-After, any method, if [Transport].Limit403 asks for it.
//   - 503 with Retry-After, idempotent methods. A 503 can also come from behind the
//     handler. With another method it is repeated only if the body's code is
//     [CodeUnavailable], which weir's limiter sends before the handler.
//   - a failed connection, idempotent methods, if [Retry].Connections asks for it.
//
// Idempotent are GET, HEAD, OPTIONS, TRACE, PUT and DELETE, and any request with an
// Idempotency-Key header. Nothing is waited for that the request's context, or the
// bound on the total time, would cut short: then the answer at hand is returned at once.
//
// Retry-After is the least wait, however long it is: a day is one attempt.
//
// A hostile server costs at most a millisecond and 64 KiB per answer, and holds a pacing
// client for at most [Transport].PaceMax.
//
// A redirect is a request of its own, with its own attempts.
//
// The same client in other languages runs on the same cases, testdata/vectors.json.
//
// The package needs the standard library only, keeps no goroutine and no state outside
// a Transport. It reads the time with [time.Now] and waits with [time.Timer], so it runs
// in a testing/synctest bubble as it is.
package client
