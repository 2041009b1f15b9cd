// Package service is a small but true auth service that weir guards: what the example
// starts, and what the process tests start as processes.
//
// One request, in order: the [Server] of a node accepts it and gives it an id; the
// middleware finds its route in [Policy] and asks the node of the cluster, which asks
// the budget's owner; then one of the handlers runs, or the client gets a 429.
//
// The service keeps no state of its own. Codes and refresh tokens are signed tokens
// like the access tokens, so any node redeems what another issued ([Keys] says when).
// That a code works only once needs memory that all nodes share, and that is just what
// weir is: a code is a budget of one.
package service
