// Package middleware guards an [http.Handler] with rate limits.
//
// What one request goes through, in order:
//
//  1. The route is found: the most specific pattern of the policy that matches, by
//     the very rules of [http.ServeMux], or by any other spelling that some router
//     may read as a limited route; no pattern means the default rules. What is
//     exempt however it is read goes straight to the handler, and so does what
//     [Policy].Allow lists; what [Policy].Deny lists is refused.
//  2. Each rule of the route finds the request's subject (its [Key]), its limit (by
//     the customer's record, by a plan, or its own) and its cost. The rule's name and
//     the subject are the key of a budget.
//  3. A rule with a [Ban] looks whether the subject is banned. The [Limiter] is asked: once for one rule, in parallel for stacked rules, those
//     first that denied this client a moment ago. A request passes if all rules admit
//     it; else what some of them took on trial is given back, and nobody is told to
//     wait because of it ([Holder]).
//  4. The headers are set on the response's header map, before the handler runs. So
//     they are there whatever becomes of the response: a 404, a redirect, a panic that
//     an outer handler turns into a 500, a streamed answer or an upgrade. (Who hijacks
//     the connection and writes the response by hand writes its headers as well.)
//  5. The handler runs, or the client gets a 429 (nothing left), a 503 (the limiter
//     cannot decide and the rule fails closed) or a 403 (no key, or a quota of 0).
//  6. Where a rule counts only some outcomes ([Rule].Count), the cost is given back
//     after a response that does not count.
//
// Unless a rule judges outcomes or [Policy].KeepHeaders is set, the handler gets the
// server's own ResponseWriter, so every optional interface of it keeps working. With
// them it gets a thin wrapper that unwraps for [http.ResponseController] and has exactly
// those optional interfaces that the wrapped one has.
//
// [Middleware.Wrap] is written on an engine that knows no handlers: [Middleware.Begin] and
// [Exchange.Done] are for whatever has a request and a response, [Middleware.Decide] for what is
// not HTTP, such as gRPC. Inside of a handler, [FromContext] shows what was decided, and
// [Middleware.Allow] asks a rule for a subject that only the handler knows.
//
// docs/routers-and-proxies.md says in which order to stand with routers, proxies, CORS and
// authentication, and how to write an adapter. Those for gin, echo, fiber, gRPC and Connect are
// modules of their own, below this package.
//
// The headers and bodies on the wire are those of the HTTP contract: X-RateLimit-Limit,
// X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, and a small JSON body.
//
// # Two traps in what stands behind
//
// A handler can change the header map after this package filled it. Notably
// [net/http/httputil.ReverseProxy] clears it after it relayed a 1xx answer, and adds
// the upstream's own rate-limit headers. Set [Policy].KeepHeaders before such a handler.
//
// Whoever is limited must not choose who it counts as. A forwarded address counts only
// when a trusted proxy vouches for it ([Address]); what cannot be read where a proxy's
// word must stand counts on a budget of its own, never on the proxy's. And a header that
// clients may fill freely ([Header]) gives each invented value a budget of its own: stack
// such a rule with one by address.
package middleware
