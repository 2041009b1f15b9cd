package ledger

import "time"

// Return puts back what the cluster counted for this process and this process did not
// use: a part of a budget that was handed to it. Unlike Give it does so although this
// process may not know who counted it: its own slot may come to less than nothing, and
// the sum over all slots is right. A token bucket is given back to by who knows what is
// owed: elsewhere, Return does nothing.
//
// counted is when the window ends in which it was counted, by another's clock perhaps.
// Where that is not the window of now, nothing is put back.
func (l *Ledger) Return(id ID, lim Limit, cost, now, counted int64) {
	if lim.Algorithm == TokenBucket {
		l.Give(id, lim, cost, now)
		return
	}
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	end := l.windowEnd(id, &lim, now)
	if time.Duration(end-counted).Abs() >= lim.Window/2 {
		return
	}
	u, own := p.usage(id, &lim, end)
	if own == nil {
		own = l.insert(p, id, 0, now)
	}
	own.roll(end, int64(lim.Window))
	own.cur = saturate(int64(own.cur) - cost)
	u.cur -= cost
	p.changed(own, &lim, decide(&lim, u, end, now, 0).Remaining)
}
