// Package cluster makes the nodes of a service share their rate limits, with no store
// beside them:
//
//	node, err := cluster.Start(ctx, cluster.Config{
//		Bind:   "0.0.0.0:7946",
//		Join:   []string{"limiter.internal:7946"}, // any of the others, or a name of all
//		Secret: secret,
//	})
//	defer node.Leave(ctx) // says goodbye, and loses no count; Close is a crash
//	d, err := node.Take(ctx, limiter.Key("login", ip), limiter.Per(100, time.Minute), 1)
//
// Every budget has one node that decides, and what that one counts is also on the next
// one. A take elsewhere costs one call to it, unless the budget was denied a moment ago or
// a part of it is leased to where the take is. If who decides does not answer, the
// successor is asked; if that does not answer either, any node that may reach one of the
// two; and at last the node decides alone, with its share of the limit, and says so
// (Degraded). It always answers in bounded time.
//
// How long it waits for whom follows from what is measured of each peer: its smoothed round
// trip and its deviation, but at least CallTimeout more than the round trip. The time that
// is left travels with each request and ends every wait on its way, so nothing is counted
// for an asker that has gone. Where an answer comes after its asker has gone on and says
// "admitted", who counted takes it back, once.
//
// A [Node] has the same Take, Give and Reset as a limiter.Local, and package middleware puts it in
// front of an HTTP handler.
//
// # By how much it can be wrong
//
//	healthy, joins, leaves, rolling restarts   not at all
//	owner crashes                              what it admitted, or leased to others, since its
//	                                           last flush
//	a node with leases crashes                 what it had is withheld until the window ends
//	split, SplitFull                           sides × quota
//	split, SplitShare                          the quota in windows that begin 2 s after the cut
//	                                           or later; before, also the share of every side
//	                                           without the owner, which can be the majority
//	split, crash or stop, SplitQuorum          not at all: whoever reaches no majority of Voters
//	                                           denies, Degraded; if a majority of them crashes
//	                                           at once, what only those had counted
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
// if two are gone and in 10 to 14 s if four are. SplitShare does not wait for that: with it
// the nodes hear each other twice a second, and who has not answered for two seconds does
// not count. With it, what a node takes over from one that vanished, and that is still
// missing, it admits by one node's share until no other has vanished for 4 s; all else is
// as before. SplitQuorum waits for none of this.
// A request that a cut link held back is counted when it arrives, up to 2 s late.
//
// After a failure the slots meet, and every answer is exact again; of token buckets only
// where one side took from them, for counts do not tell what was refilled in between. They
// err to the small side, by a burst at most, and after a short split by no more than what
// all sides but the busiest took. What a side took is forgotten when it has been refilled for one capacity's time: where a split
// lasts longer, and another side never paused, so much is not held against it. A node that
// vanished without leaving counts as known for ForgetAfter; for SplitShare to
// keep its bound for longer, set ExpectedNodes. Who joins while others
// are missing does not count before they are back, have left or are forgotten, unless
// there are not more nodes than ExpectedNodes. Those that come back count together, when
// all have told what they admitted and handed over what the others own.
package cluster
