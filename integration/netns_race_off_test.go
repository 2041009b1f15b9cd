//go:build linux && !race

package integration

// rollingRate is requests per second in a rolling restart.
const rollingRate = 2000
