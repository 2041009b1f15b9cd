package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// How a budget is explained: by a look, and by what its holder says of it.

// Explanation is what there is to know of one budget. Names are those of nodes; a process that
// this cluster does not see any more has none.
type Explanation struct {
	// Partition is the key's, of Partitions, and Owner its owner by the ring; Copies has the nodes
	// that have copies.
	Partition int
	Owner     string
	Copies    []string
	// Holder is the node that decides, "" where nobody is known, or it does not answer; and Term
	// the number of its term, which grows with each change of holder.
	Holder string
	Term   uint64
	// Decision is a look's: what is left, when all of it will be, and how that was found out.
	Decision limiter.Decision
	// Counts are what each process has counted, and Leases what nodes have been handed of the
	// budget and may not have spent: as the Holder knows them, or this node where it does not answer.
	Counts []Counted
	Leases []Leased
	// Here is what this node has of the budget by a lease, and Denied for how long it remembers that
	// the budget denied.
	Here   int64
	Denied time.Duration
}

// Counted is what one process has counted of a budget.
type Counted struct {
	Node string
	// Taken is of the current window, less what was given back, so it may be less than 0; of a
	// token bucket all that the process has taken since the bucket was full last. Before is of the
	// window before, for a sliding window.
	Taken, Before int64
}

// Leased is a part of a budget that a node may spend without asking.
type Leased struct {
	Node  string
	Slice int64 // what it was handed last
}

// Explain tells about the budget of key under l, and takes nothing from it. Its errors are those of
// Take. It answers in the time of a Take and of one call more.
func (n *Node) Explain(ctx context.Context, key string, l limiter.Limit) (Explanation, error) {
	d, err := n.Take(ctx, key, l, 0)
	if err != nil {
		return Explanation{}, err
	}
	id, err := n.idIn(key, &l, 0) // l becomes that of the period
	if err != nil {
		return Explanation{}, err
	}
	v, part := n.view.Load(), id.Partition()
	e := Explanation{Partition: part, Decision: d}
	for rank := range n.cfg.Replicas + 1 {
		if name := v.holderName(part, rank); rank == 0 {
			e.Owner = name
		} else if name != "" {
			e.Copies = append(e.Copies, name)
		}
	}
	c := n.askAbout(ctx, id, l)
	e.Holder, e.Term = c.Holder, c.Term
	for _, x := range c.Counts {
		e.Counts = append(e.Counts, Counted(x))
	}
	for _, x := range c.Leases {
		e.Leases = append(e.Leases, Leased(x))
	}
	e.Here, e.Denied = n.near.Look(id, n.clock.age())
	return e, nil
}

// holderName is the name of the node of a rank, "" if there is none.
func (v *view) holderName(part, rank int) string {
	if i := v.table.Holder(part, rank); i >= 0 {
		return v.table.Members()[i]
	}
	return ""
}

// askAbout asks the holder about a budget, following those who say that another one holds it; in the
// end this node says what it knows itself.
func (n *Node) askAbout(ctx context.Context, id ledger.ID, l limiter.Limit) *wire.Explain {
	v, part := n.view.Load(), id.Partition()
	p, _ := n.holder(v, part)
	for range followMost {
		if p == nil || n.ledger.Held().Has(part) {
			break
		}
		c := &wire.Explain{ID: id, Limit: l}
		if p.calls.Call(ctx, time.Now().Add(n.waitFor(p)), wire.KindExplain, c) != nil {
			break
		}
		if c.Held {
			return c
		}
		n.heed(part, p, tenure.Term{Number: c.Term, Holder: c.By})
		next := v.byProcess[c.By]
		if next == p {
			break
		}
		p = next
	}
	c := &wire.Explain{ID: id, Limit: l}
	n.explain(c)
	return c
}

// explain answers what this node knows of a budget.
func (n *Node) explain(c *wire.Explain) {
	v, part := n.view.Load(), c.ID.Partition()
	n.mu.Lock()
	s := n.seen(v, part)
	x := &n.seats.of[part]
	t := x.Whom(&s)
	if c.Held = n.ledger.Held().Has(part); c.Held {
		t = x.Known()
		c.Holder = n.cfg.Name
	}
	n.mu.Unlock()
	c.Term, c.By = t.Number, t.Holder
	for _, slot := range n.ledger.Counted(c.ID, wire.Budget(&c.Limit), n.clock.ownNow()) {
		if len(c.Counts) < wire.ExplainMost {
			c.Counts = append(c.Counts, wire.Counted{Node: n.nameOfProcess(v, slot.Origin), Taken: int64(slot.Cur), Before: int64(slot.Prev)})
		}
	}
	for p, slice := range n.leases.Slices(c.ID) {
		if len(c.Leases) < wire.ExplainMost {
			c.Leases = append(c.Leases, wire.Leased{Node: p.name, Slice: slice})
		}
	}
}

// nameOfProcess is the name of the node whose process that is, "" if it is not seen.
func (n *Node) nameOfProcess(v *view, o ledger.Origin) string {
	if o == n.origin {
		return n.cfg.Name
	}
	if p := v.byProcess[tenure.Process(o)]; p != nil {
		return p.name
	}
	return ""
}
