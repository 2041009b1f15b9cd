package ledger

// What is put back.

// Give puts back what was taken: at most what is taken in the current window, or,
// for a token bucket, at most until the bucket is full.
func (l *Ledger) Give(id ID, lim Limit, cost, now int64) { l.Refund(id, lim, cost, now, 0) }

// GiveHeld is Give if this process decides for the partition, else ok is false.
func (l *Ledger) GiveHeld(id ID, lim Limit, cost, now int64) (ok bool) {
	return l.RefundHeld(id, lim, cost, now, 0)
}

// Refund is Give into the window of the take, and nothing where that counts no more. A
// Window is named in the time that windows tile.
func (l *Ledger) Refund(id ID, lim Limit, cost, now int64, of Window) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	l.giveLocked(p, id, &lim, cost, now, of)
	p.mu.Unlock()
}

// RefundHeld is Refund if this process decides for the partition, else ok is false.
func (l *Ledger) RefundHeld(id ID, lim Limit, cost, now int64, of Window) (ok bool) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		l.giveLocked(p, id, &lim, cost, now, of)
	}
	return p.held
}

func (l *Ledger) giveLocked(p *partition, id ID, lim *Limit, cost, now int64, of Window) {
	if lim.Algorithm == TokenBucket {
		l.giveBucket(p, id, lim, cost, now)
		return
	}
	end := l.windowEnd(id, lim, now)
	u, own := p.usage(id, lim, end)
	taken, age := &u.cur, of.age(end+l.ahead.Load(), int64(lim.Window))
	if age == 1 && lim.Algorithm == SlidingWindow {
		taken = &u.prev // counts still, by its weight
	} else if age > 0 {
		return
	}
	if cost = min(cost, *taken); cost <= 0 {
		return
	}
	if own == nil {
		own = l.insert(p, id, 0, now)
	}
	own.roll(end, int64(lim.Window))
	if *taken -= cost; age == 0 {
		own.cur = saturate(int64(own.cur) - cost)
	} else {
		own.prev = saturate(int64(own.prev) - cost)
	}
	p.changed(own, lim, decide(lim, u, end, now, 0).Remaining)
}
