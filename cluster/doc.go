// Package cluster makes the nodes of a service share their rate limits, with no store
// beside them.
//
// What one [Node.Take] does, in order: it checks the arguments; hashes the key; reads
// the node's view of the cluster, which is an atomic pointer; and if this node holds
// the key's partition, decides under the partition's lock and is done. If not, it
// looks whether the key was denied a moment ago, or is leased to this node. Otherwise
// it makes one call to the node that does hold it, batched with whatever else waits on
// that connection. If that node does not answer, the successor is asked, which has copies;
// if that does not answer either, any node that may reach one of the two; and at last
// this node decides alone, with its share of the limit, and says so (Degraded).
//
// How long to wait for whom follows from what is measured of each peer: its smoothed round
// trip and its deviation, but at least CallTimeout more than the round trip. The time that
// is left travels with each request and ends every wait on its way, so nothing is counted
// for an asker that has gone. A request has one number, however many nodes it reaches, and
// who has counted that number does not count it again. Where an answer comes after its
// asker has gone on and says "admitted", who counted takes it back, once.
//
// # Where to look
//
//	who is there, and who is missing? internal/membership; news.go asks nodes, view.go is what follows
//	what if two have one name?        contest.go
//	who decides?                      take.go, then round.go; for a peer, answer.go
//	how long does it wait for whom?   wait.go; peer.go for who does not answer
//	who counts a request, and once?   once.go; late.go for answers that come too late
//	how does a partition move?        handover.go, claim.go; leave.go when a node leaves
//	how do counts get elsewhere?      ship.go
//	what is decided without a call?   near.go (denials), spend.go (leases)
//	who may lease, and until when?    lease.go; ask.go is the lessee's side of the calls
//	how does a split heal?            rejoin.go, then handover.go and ship.go
//	what may a side of a split admit? view.go (share), internal/membership (sets), orphan.go, round.go (forcedShare)
//	what time is it?                  clock.go, look.go, sync.go
//	what is on the wire?              package internal/wire; in gossip, internal/membership
//	what may a peer ask?              serve.go
//	one port for all of it            port.go, network.go, zone.go
//	when does a node start and end?   node.go, leave.go
//	what does it do by itself?        loop.go
//	was the process stopped?          watch.go
//	what does the operator hear?      report.go, and log.go for how
//
// # One holder
//
// The ring names an owner for every partition, and exactly one node holds it: the
// owner, or until it has handed over, the last one. The holder decides. It hands over
// by a "complete" that goes out, under the partition's lock, on the connection on
// which it passes on late requests: so at no instant two nodes decide, and the new
// holder knows every count of the old one. That makes joins, leaves and rolling
// restarts exact. Only where a holder is gone does its owner begin without a complete,
// on the copies that it was sent.
//
// # Leases
//
// The holder of a budget hands slices of it to nodes that take from it much. A slice
// is counted as spent when it is handed out, and a slice is small against what is left,
// so takes near the end of a budget are exact ones. Before the holder denies, and before
// it hands the partition over, it calls back what is out and counts what comes. An ask
// has a number and may be repeated, a recall likewise, so that a lost message loses no
// budget. What a lessee cannot give to who handed it out it puts into its own slots.
//
// # By how much it can be wrong
//
//	healthy, joins, leaves, rolling restarts   not at all
//	owner crashes                              what it admitted, or leased to others, since its
//	                                           last flush
//	a node with leases crashes                 what it had is withheld until the window ends
//	split, SplitFull                           sides × quota
//	split, SplitShare                          the quota in windows that begin after the split
//	                                           is noticed; before, also the share of every side
//	                                           without the owner, which can be the majority
//	split, SplitQuorum                         the same; the minority denies
//	no owner and no successor reachable, or    one share per node that decides alone
//	not known to a node that has just joined
//	an answer comes too late                   as an owner that crashes, until the answer comes: then
//	                                           what it counted is taken back
//	an answer is lost with its connection      at least once, never not at all
//	a token bucket, after any of these         never more left than in one bucket that saw all
//	                                           tokens; up to a burst less until it refills,
//	                                           once, where several sides took from it
//
// A crash is noticed in some 2.5 s. In a split nodes vanish one by one: a side of several
// nodes notices in 2 to 9 s, a single node, which nobody confirms what it sees, in 5 to 7 s
// if two are gone and in 10 to 14 s if four are. With SplitShare and
// SplitQuorum, what a node takes over from one that vanished, and that is still missing,
// it admits by one node's share until no other has vanished for 4 s; all else is as before.
// A request that a cut link held back is counted when it arrives, up to 2 s late.
//
// After a failure the slots meet, and every answer is exact again; of token buckets only
// where one side took from them, for counts do not tell what was refilled in between. They
// err to the small side, by a burst at most, and after a short split by no more than what
// all sides but the busiest took. What a side took is forgotten when it has been refilled for one capacity's time: where a split
// lasts longer, and another side never paused, so much is not held against it. A node that
// vanished without leaving counts as known for ForgetAfter; for SplitShare and
// SplitQuorum to keep their bound for longer, set ExpectedNodes. Who joins while others
// are missing does not count before they are back, have left or are forgotten, unless
// there are not more nodes than ExpectedNodes. Those that come back count together, when
// all have told what they admitted and handed over what the others own.
//
// # Invariants
//
// Each has a test, most of them in package clustertest: admitted hits are counted
// before their answer leaves; a node counts only in its own slots; what could not be
// delivered stays due; a request that was passed on is not passed on again: where it
// lands it is decided, or the answer says who does not hold it; calls never outlive
// their deadline; durations and cluster time travel, wall clocks do not;
// no goroutine outlives Close.
package cluster
