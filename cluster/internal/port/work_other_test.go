//go:build !linux

package port

import "time"

// worked is 0: how long an input takes is judged on Linux.
func worked() time.Duration { return 0 }
