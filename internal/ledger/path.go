package ledger

import "fmt"

// Path says how a decision came about. Package limiter tells users what each means; to a
// ledger, which is where all of them end, it is always the first.
type Path uint8

const (
	PathHeld Path = iota
	PathForwarded
	PathLeased
	PathRemembered
	PathDegraded
)

// String gives the name for logs and metrics.
func (p Path) String() string {
	names := [...]string{"held", "forwarded", "leased", "remembered", "degraded"}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("Path(%d)", uint8(p))
}
