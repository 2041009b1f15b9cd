// Package middlewaretest checks a limiter against the HTTP contract: give it limiters that
// share their budgets and it sends requests through a middleware in front of each, in
// turn, and compares what comes back with the contract, row by row.
package middlewaretest
