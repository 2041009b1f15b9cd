// Package service is a small but true auth service that weir guards: what the example
// starts, and what the process tests start as processes.
//
// One request, in order: the [Server] of a node accepts it and gives it an id; the
// middleware finds its route in [Policy] and asks the node of the cluster, which asks
// the budget's owner; then one of the handlers runs, or the client gets a 429.
//
// The service has no store. Agents, codes and refresh tokens are their own record, sealed
// by a key that all nodes have (seal.go). What cannot be in a seal, since it happens later
// (a code was used, a token revoked, an agent deleted), all nodes must know together; and
// that is just what weir is for: each such fact is a budget of one (once.go).
//
// Start with handler.go, which has the routes; then token.go for the shortest way through
// all of it. drain.go says how a node ends without losing a request.
package service
