//go:build race

package transport

// raceEnabled: the race detector allocates on its own account.
const raceEnabled = true
