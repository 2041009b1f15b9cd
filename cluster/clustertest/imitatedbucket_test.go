package clustertest

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
)

// takeBucket decides by all tokens that a node knows, each with its moment in the place of
// a window's end. What a side may admit, of its quota, it also takes from its pace.
func (n *imitated) takeBucket(key string, l limiter.Limit, cost, quota int64, all []*imitated) limiter.Decision {
	a, now := budget{key, l}.account(), time.Now()
	if quota < l.Quota && n.of.flaw != oneTooFew {
		a.refill, a.full = a.refill*l.Quota/max(1, quota), a.full*quota/l.Quota*l.Quota/max(1, quota)
	}
	capacity := a.full/a.refill + quota - l.Quota
	if quota < l.Quota && n.of.flaw != oneTooFew {
		capacity = a.full / a.refill
	}
	owed := n.owed(key, a, now)
	left := max(0, (capacity*a.refill-owed)/a.refill)
	d := limiter.Decision{Allowed: quota > 0 && max(1, cost) <= left, Remaining: left, ResetAfter: time.Duration(owed) + 2*time.Second}
	d.Degraded = n.of.flaw == degradesInPeace && n.of.asked%20 == 0
	if !d.Allowed {
		d.RetryAfter = time.Duration(max(1, owed+max(1, cost)*a.refill-capacity*a.refill))
		return d
	}
	d.Remaining -= cost
	n.count(key, now.UnixNano(), cost)
	if n.of.flaw == countsTwice {
		n.count(key, now.UnixNano(), cost)
	}
	meet(all)
	return d
}

// owed is what is to be refilled of all tokens that a node knows.
func (n *imitated) owed(key string, a account, now time.Time) (most int64) {
	type token struct {
		k slotKey
		n int64
	}
	var tokens []token
	for k, v := range n.slots {
		if k.budget == key {
			tokens = append(tokens, token{k, v})
		}
	}
	slices.SortFunc(tokens, func(x, y token) int { return cmp.Compare(x.k.end, y.k.end) })
	by := map[*imitated]*account{}
	for _, x := range tokens {
		who := n
		if n.of.flaw == maximum {
			who = x.k.of
		}
		if by[who] == nil {
			by[who] = &account{refill: a.refill, full: a.full}
		}
		if at := time.Unix(0, x.k.end); x.n >= 0 {
			by[who].take(at, x.n)
			by[who].overflow(at)
		} else {
			by[who].give(at, -x.n)
		}
	}
	for _, b := range by {
		most = max(most, b.tat-now.UnixNano())
	}
	return most
}
