// Package routers holds a test of the middleware in front of and inside of other people's
// routers. It is a module of its own, so that they are nobody's dependency.
//
// go test . sends 100,000 requests; -weir.requests and -weir.seed say how many, and which.
package routers
