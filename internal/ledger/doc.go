// Package ledger is how weir counts: what every process has admitted for every budget, and
// the pure functions that decide against it. Package limiter and package cluster are built
// on it.
//
// What one take does, in order: it locks the id's partition; joins the slots of that id to
// what is taken in this window (and the last one, or the bucket's arrival time); decides by a
// pure function of (limit, usage, now, cost); and, if it admits, counts in its own slot
// before it answers. It allocates nothing once the key is known, takes one lock, and waits
// for nobody.
//
// # The ledger
//
// A [Slot] is what one origin, that is one process, has admitted for one id. Only
// the origin writes it, and each write has a higher version; copies travel, and of
// two copies the higher version wins. So the join of ledgers is commutative,
// associative and idempotent, and loss, repeats and reordering of copies are
// harmless. A decision is made against the join of all slots of the id: the sum of
// the window counters, and of a token bucket the least of all accounts, each carried on
// by what it does not know of the others (bucket.go). So a bucket's slot also says whom
// its origin knew when it counted; that stands in entries of its own, while there are
// others.
//
// Slots lie in flat tables of 48-byte entries without pointers, under one lock per
// partition. A table grows alone, and a partition of many keys has many tables, so no
// take waits for long, however many keys there are. A [Ledger] holds at most so many
// entries. Whatever has expired is dropped on the way, a little with every new key
// and all of it when a table grows; where the ledger is full, what loses least goes
// first, and a budget that is used up goes last.
//
// # Time
//
// Time is an argument, in nanoseconds. Windows tile it from a phase of each id's
// own, so all who hold an id's slots agree on its windows without talking. Slots
// from peers may carry any time: reading clamps, so that a budget is never more
// than once its limit in debt. A bucket whose slot was given a forged arrival time
// stays empty until then, which is at most two MaxWindow away.
//
// # The algorithms
//
// Fixed window, sliding window (this window, and the last one weighted by its
// overlap with the window's length before now), and token bucket as the Generic
// Cell Rate Algorithm. All are integer arithmetic, rounded to the side that admits
// less. Waiting exactly RetryAfter suffices if nobody else takes meanwhile.
//
// # Where to look
//
//	how does a limit count?       decide.go; bucket.go joins a bucket's slots
//	what is counted, and where?   ledger.go, give.go, hold.go (on trial), return.go
//	how is it stored, and grows?  table.go, tables.go, notes.go (beside a slot), origins.go
//	what goes when it is full?    evict.go
//	who must hear of it?          due.go, collect.go, ship.go
//	what stands for a key?        id.go
package ledger
