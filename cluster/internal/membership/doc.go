// Package membership is what a node knows of the other nodes: who lives, who is missing,
// who left, and how many of them count where a side of a split admits by its size. It
// knows nothing of keys, limits and partitions.
//
// [Members] is a state machine: each event is a method that says whether it was news, and
// time is an argument, the age of this process. It starts no goroutine, asks nobody and
// calls nothing back. What a reader needs it takes out as a [Snapshot], which never
// changes.
//
//	events           from
//	Alive            gossip says that a process lives             (gossip.go hears it)
//	Doubt, Lose      gossip says that it does not; it did not answer either    (doubt.go)
//	Restarted        a new process opened a connection before gossip told
//	Answered         a process answered at an address
//	Goodbye          a process says that it leaves
//	Learn            another node tells what it knows             (roster.go)
//	Silent, Heard    a process has not answered this node for a while, or does again
//	CaughtUp         a process has sent all that is due by a table
//	Turned           that table is not this node's any more
//	NoGuests         a snapshot found nobody missing, and nobody just back
//
// # News belongs to a process
//
// Gossip's news may be late, second-hand, and about the process that had a node's name
// before: a "left" or a "dead" of that one must not end the one that lives now, nor may an
// "alive" bring it back. So news belongs to a process, name and origin. Of two processes
// of one name the one with the larger origin is the later one, unless one has answered
// itself: what a node says itself counts more than any order. Where gossip contradicts what
// is known, the node is asked, on a connection: it answers, and says which process it is,
// or it is gone.
//
// # Base and with
//
// What a side of a split may admit is with ÷ base of a limit. Base is the members at the
// last moment at which nobody was missing; it loses a name by a goodbye, or when the node
// has been missing for ForgetAfter. With loses a name in the moment in which it vanishes, or has not
// answered for SilentAfter, and grows only at a barrier: when all that came back have told
// what they admitted. With is a part of base. See sets.go.
package membership
