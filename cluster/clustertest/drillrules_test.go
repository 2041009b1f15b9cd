package clustertest

import (
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// What must hold of the rounds of drills, besides the bounds of all others: bounds from
// below, where only the one fault happened of which the documentation says what it costs.

// calmCrash is the time after one node ended, until anything else happened.
type calmCrash struct {
	from, to time.Time
	node     int
}

// calmCrashes are those of a cluster that was whole, and of which all nodes have their names.
func (h *history) calmCrashes() (all []calmCrash) {
	if !h.s.strict || slices.ContainsFunc(h.s.steps, func(x step) bool { return x.named }) {
		return nil
	}
	calm := true
	for i, e := range h.events {
		switch e.op {
		case opSettle:
			calm = true
		case opTraffic:
		default:
			if calm && (e.op == opKill || e.op == opCrash) {
				c := calmCrash{from: e.to, node: e.node, to: time.Now()}
				if k := slices.IndexFunc(h.events[i+1:], func(e event) bool { return e.op != opTraffic }); k >= 0 {
					c.to = h.events[i+1+k].from
				}
				all = append(all, c)
			}
			calm = false
		}
	}
	return all
}

// throttled checks that a crash does not throttle what the dead node did not hold.
func (o *oracle) throttled(w *window) {
	b := o.h.s.budgets[w.budget]
	if b.lim.Algorithm != limiter.FixedWindow || b.lim.Lease != limiter.LeaseOff || b.lim.Split == limiter.SplitFull {
		return
	}
	for _, c := range o.h.calmCrashes() {
		left := o.h.running(c.from)
		n := int64(len(left) + 1)
		owner := ownerAmong(b, append(slices.Clone(left), c.node))
		if n < 3 || n < int64(o.h.s.nodes) || owner == name(c.node) || owner != ownerAmong(b, left) {
			continue
		}
		voters := 0
		for _, i := range left {
			if i < o.h.s.nodes {
				voters++
			}
		}
		if b.lim.Split == limiter.SplitQuorum && voters < o.h.s.nodes/2+1 {
			continue // rightly: those that are left are no majority
		}
		quota := b.lim.Quota
		if b.lim.Split == limiter.SplitShare {
			quota = quota * (n - 1) / n
		}
		for _, x := range w.takes {
			if x.orphan || x.d.Allowed || x.from.Before(c.from.Add(hopTimeout)) || !x.to.Before(c.to) || !o.certain(x) {
				continue
			}
			o.checked++
			if _, most := o.spent(w, x); most+max(1, x.cost) <= quota {
				o.fault(x, "denied after node %d crashed, which did not hold it, although at most %d of %d were spent", c.node, most, quota)
			}
		}
	}
}

// running are the nodes that live after a moment.
func (h *history) running(at time.Time) (nodes []int) {
	for _, l := range h.starts {
		if l.from.Before(at) && (l.to.IsZero() || l.to.After(at)) {
			nodes = append(nodes, l.node)
		}
	}
	return nodes
}

// ownerAmong is who owns a budget by the ring of some nodes.
func ownerAmong(b budget, nodes []int) string {
	var names []string
	for _, i := range nodes {
		names = append(names, name(i))
	}
	table, err := ring.New(names)
	if err != nil {
		panic(err)
	}
	return table.Members()[table.Owner(idOf(b.key, &b.lim).Partition())]
}

// gentle says whether all that happened is that answers came late, or did not come from one
// node to another, and for so short a time that nobody was taken for dead. When that is
// over, each request is counted as it was answered: an asker that went on to another node
// has had taken back what is one too many, and what carries one number is counted once.
func gentle(events []event) bool {
	for i, e := range events {
		switch {
		case e.op == opTraffic || e.op == opHeal:
		case e.op == opStall && e.by <= gentleTime:
		case e.op == opCut && i+1 < len(events) && events[i+1].op == opHeal && e.then <= gentleTime:
		default:
			return false
		}
	}
	return true
}

const gentleTime = time.Second

// countedOnce says whether a request of a time when answers were late was counted as it was
// answered, as a later answer knows.
func (o *oracle) countedOnce(x *take, later time.Time) bool {
	for _, t := range o.troubles {
		if t.gentle && touches(x, t.from, t.to) && later.After(t.to) {
			return !x.orphan
		}
	}
	return false
}
