// Package tenure says who decides for a partition: the state of one partition at one node,
// and a function of events to commands. It has no clock, no socket and no goroutine; time,
// and who lives, are arguments.
//
// # States
//
//	Foreign    another node's, as far as this one knows
//	Waiting    this node's by the ring, or its own until a moment ago, and it must ask
//	           first who decides
//	Holding    this node decides
//	Draining   this node decides; the ring says another
//	Ceded      handed over, and not yet acknowledged: nobody decides here
//
//	           table: it is ours              nobody else holds it, or complete
//	Foreign ───────────────────────▶ Waiting ──────────────────────────────────▶ Holding
//	   ▲ ▲                            │  ▲ ▲            doubt                     │  ▲
//	   │ └────────────────────────────┘  │ └──────────────────────────────────────┤  │ table
//	   │   table: it is another's        │ who was to have it is gone             ▼  │
//	   └────────────────────────────── Ceded ◀─────────────────────────────── Draining
//	            acknowledged                     the owner is ready for it
//
// # Terms
//
// A term is a number and the process that holds from then on. Each change of holder makes a
// larger number, so two nodes that begin at once on two sides of a split have two terms, and
// whoever knows a term knows whom to ask. Who held once knows the term that came after its
// own: from any of those a trail of terms leads to the holder. A message of a term that is
// not newer than what a node knows changes nothing there: a "complete" that is repeated does
// not make its receiver hold again what it has handed on.
//
// # Asking
//
// A node that comes to own a partition asks whom it takes for the holder, which says that it
// holds, names a newer term, or knows of nobody. In that case, and where the last holder is
// gone, all others are asked, and only if all say so the partition is nobody's. If somebody
// vanishes meanwhile, all are asked again: the partition may have gone to one that was asked
// before. A node that held until it began to doubt, or whose "complete" found nobody, says
// "perhaps", with its term; of two such the later one goes first. Who holds and answers may
// take its time; without a sign of it for HandoverMax the owner begins.
package tenure
