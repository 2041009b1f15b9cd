// Package integration tests whole clusters over real sockets, and rules that no single
// package can see broken. It holds nothing but tests.
//
// A process test, in order: it starts the test binary again, once per node, as the auth
// service of examples/authservice; each child prints its addresses and serves; the test
// waits until every node's /health counts all nodes; then it sends requests from 127.0.0.x
// addresses of its own choice, kills, stops and restarts nodes, and counts. Children that
// outlive their test notice that their standard input has ended, and end too. What they
// logged is shown if the test fails.
//
// All of it is skipped with -short, except for the rules about the source.
package integration
