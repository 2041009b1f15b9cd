package limiter

import (
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// What a limiter answers.

// Window names the window that a Hold was counted in, for Keep and Refund. Only limiters
// make it and look into it; to all others it is a value to hand back. The zero Window is
// the current one, whichever that is. A token bucket has no windows, and needs none. It is
// an alias so that a ledger's decision is a Decision.
type Window = ledger.Window

// Path says how a decision came about: by which of the ways that a node has, which differ in what
// they cost and in what they know. Its String is "held", "forwarded" and so on. It is an alias so that
// a ledger's decision is a Decision.
type Path = ledger.Path

const (
	// PathHeld is that of a process that holds the budget, as a [Local] always does.
	PathHeld = ledger.PathHeld
	// PathForwarded: another node was asked.
	PathForwarded = ledger.PathForwarded
	// PathLeased: it was taken from what the budget's owner has leased to this node. Remaining and
	// ResetAfter are lower bounds then: the one does not know what others have, the other may be
	// early by as long as the lease was on its way.
	PathLeased = ledger.PathLeased
	// PathRemembered: the owner denied it a moment ago, and nothing can have changed since.
	PathRemembered = ledger.PathRemembered
	// PathDegraded is that of each decision that is Degraded.
	PathDegraded = ledger.PathDegraded
)

// Stats is a reading of a limiter's counters.
type Stats struct {
	Keys          int64 // slots held now, own and copies, some of them expired, and notes
	Evicted       int64 // own live budgets forgotten because MaxKeys was reached
	CopiesDropped int64 // live copies forgotten or refused because MaxKeys was reached
	LostSlots     int64 // own slots that expired, or were evicted, before delivery
	Bytes         int64 // memory of the tables that hold the slots
}

// Decision is the answer to one Take.
type Decision struct {
	// Allowed says whether the cost was taken. A look (cost 0) is allowed while
	// anything is left to take.
	Allowed bool
	// Degraded says that the answer came without the budget's owner: right within
	// the bound that the documentation gives for that failure.
	Degraded bool
	// Tentative says of a denial that it may not last: others hold so much of the budget
	// on trial (Local.Hold) that this cost would fit without them. It will be clear in a
	// moment, which RetryAfter then is. Nobody should remember it.
	Tentative bool
	// Path says how the decision came about, for logs and metrics.
	Path Path
	// Remaining is what is left after this decision, never negative. In a cluster it
	// is a lower bound while parts of the budget are leased to nodes.
	Remaining int64
	// ResetAfter is the time until the window ends (FixedWindow), or until the
	// budget is whole again if nothing more is taken (the others).
	ResetAfter time.Duration
	// RetryAfter is the wait after which the same cost is admitted if nobody else
	// takes from the budget meanwhile. It is 0 if and only if Allowed.
	RetryAfter time.Duration
	// Window names the window that a Hold was counted in, for Keep and Refund. A Take
	// names none.
	Window Window
}
