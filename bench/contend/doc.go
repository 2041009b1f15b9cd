// Package contend puts weir and the limiters that it is measured against behind one
// function each.
//
// A [Local] limits within its process: Make builds it for one [Budget], and hands
// out one [Take] per goroutine, so that no contender pays for what another needs. A
// [Member] is one process of something distributed: Start opens it, Meet introduces
// it to the others, Take asks it. What is compared is one decision about one key.
//
// Every contender is set up as its documentation advises, and given what it needs to
// be quick: room for all keys, no response headers that nobody reads, a connection
// pool that is large enough. Where two set-ups are usual, both run.
package contend
