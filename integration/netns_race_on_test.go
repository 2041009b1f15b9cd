//go:build linux && race

package integration

// rollingRate is requests per second in a rolling restart: what the race detector leaves
// of it on two cores.
const rollingRate = 400
