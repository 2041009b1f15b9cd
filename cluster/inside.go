package cluster

// Inside, for who changes this package. It is the only place that has goroutines, the clock
// and the wire; what can be decided without them is in rooms of their own:
//
//	Node                take, serve, ship, the loop, start and leave
//	 ├ membership       who is there
//	 ├ tenure           who decides
//	 ├ ctime            what time it is
//	 ├ quorum           what a majority of the voters agrees on
//	 ├ lease            what may be decided without a call
//	 ├ wire             what is said
//	 ├ port             where it comes in
//	 ├ wait             how long to wait for whom
//	 ├ tally            what was counted of whose requests
//	 ├ journal          what the operator hears
//	 └ internal/ledger  what is counted
//
// What one [Node.Take] does, in order: it checks the arguments; hashes the key; reads the
// node's view of the cluster, which is an atomic pointer; and if this node holds the key's
// partition, decides under the partition's lock and is done. If not, it looks whether the
// key was denied a moment ago, or is leased to this node. Otherwise it makes one call to the
// node that does hold it, batched with whatever else waits on that connection. A request has
// one number, however many nodes it reaches, and who has counted that number does not count
// it again.
//
// Files:
//
//	who is there, and who is missing? internal/membership; news.go asks nodes, view.go is what follows
//	what if two have one name?        contest.go
//	who decides?                      take.go, then find.go and round.go; for a peer, answer.go
//	how long does it wait for whom?   wait.go, internal/wait; peer.go for who does not answer
//	who counts a request, and once?   once.go, internal/tally; late.go for answers that come too late
//	how does a partition move?        internal/tenure; seat.go does what that commands, handover.go
//	                                  and claim.go tell it what happens; leave.go when a node leaves
//	how do counts get elsewhere?      ship.go
//	what is decided without a call?   internal/lease; ask.go for what is leased to this node
//	who may lease, and until when?    internal/lease; lease.go for what this node leases to others
//	how does a split heal?            rejoin.go, then handover.go and ship.go
//	what may a side of a split admit? view.go (share), internal/membership (sets), contact.go (who answers), orphan.go, forced.go
//	what does a majority agree on?    internal/quorum (rules); quorum.go, claimvotes.go, record.go, voter.go, recover.go
//	what time is it?                  internal/ctime; clock.go reads the clock, sync.go asks the others
//	which day is it?                  calendar.go, internal/ctime (Wall)
//	what is on the wire?              package internal/wire; in gossip, internal/membership
//	what may a peer ask?              serve.go, atonce.go
//	one port for all of it            internal/port; network.go for its address
//	when does a node start and end?   node.go, leave.go
//	what does it do by itself?        loop.go
//	was the process stopped?          watch.go
//	what does the operator hear?      report.go, and internal/journal for how
//	what does the operator see?       stats.go, members.go, silent.go, health.go; explain.go of one budget
//	how is a budget made whole?       reset.go
//
// # One holder
//
// The ring names an owner for every partition, and exactly one node holds it: the
// owner, or until it has handed over, the last one. The holder decides. When the owner has
// the same ring, it hands over by a "complete" that goes out under the partition's lock: so at
// no instant two nodes decide, and the new holder knows every count of the old one. That makes
// joins, leaves and rolling restarts exact. Only where a holder is gone does its owner begin
// without a complete, on the copies that it was sent, when all others say that they do not
// hold. Each change of holder begins a term; who does not hold names the newest that it
// knows, and the asker goes on to its holder.
//
// # Invariants
//
// Each has a test, most of them in package clustertest: admitted hits are counted
// before their answer leaves; a node counts only in its own slots; what could not be
// delivered stays due; an older term changes nothing; a request that was passed on is not
// passed on again: where it lands it is decided, or the answer says who holds it; calls never outlive
// their deadline; durations and cluster time travel, wall clocks do not;
// no goroutine outlives Close.
