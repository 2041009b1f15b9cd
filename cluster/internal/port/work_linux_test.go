package port

import (
	"syscall"
	"time"
)

// worked is how much time of a processor this process has used. Unlike a clock on the wall it
// does not count the time that others use on a busy machine.
func worked() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
