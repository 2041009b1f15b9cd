// Package middlewaretest checks a limiter, or an adapter of a framework, against the HTTP contract:
// give it limiters that share their budgets and it sends requests through a middleware in
// front of each, in turn, and compares what comes back with the contract, row by row.
//
//   - [Contract] is for a limiter, behind the standard library's server.
//   - [ServerContract] is the same rows for an adapter: it takes a function that builds a server.
//   - [FiveRules] is less, and for what is not HTTP as well: one policy with a rule of each kind, bans,
//     lists, and limits that a function finds.
//
// Package nodes, below, has limiters to call them with.
package middlewaretest
