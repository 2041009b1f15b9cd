package ledger

// What is forgotten of a budget on purpose.

// Reset makes a budget whole: this process's own slot takes back what all slots that it knows
// have counted, and a token bucket is full. Slots that it does not know yet count when they come.
func (l *Ledger) Reset(id ID, lim Limit, now int64) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	l.resetLocked(p, id, &lim, now)
	p.mu.Unlock()
}

// ResetHeld is Reset if this process decides for the partition, else ok is false.
func (l *Ledger) ResetHeld(id ID, lim Limit, now int64) (ok bool) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		l.resetLocked(p, id, &lim, now)
	}
	return p.held
}

func (l *Ledger) resetLocked(p *partition, id ID, lim *Limit, now int64) {
	if lim.Algorithm == TokenBucket {
		l.resetBucket(p, id, lim, now)
		return
	}
	end := l.windowEnd(id, lim, now)
	u, own := p.usage(id, lim, end)
	before := int64(0) // what counts still of the window before
	if lim.Algorithm == SlidingWindow {
		before = u.prev
	}
	if u.cur == 0 && before == 0 {
		return
	}
	if own == nil {
		own = l.insert(p, id, 0, now)
	}
	own.roll(end, int64(lim.Window))
	own.cur, own.prev = saturate(int64(own.cur)-u.cur), saturate(int64(own.prev)-before)
	p.changed(own, lim, lim.Capacity())
}

// resetBucket fills a bucket. No share of it has a pace any more.
func (l *Ledger) resetBucket(p *partition, id ID, lim *Limit, now int64) {
	l.dropBeside(p, id, func(e *entry) bool { return e.prev == pacing })
	u, own := p.bucket(id, lim, now)
	if u.tat > now {
		l.countBucket(p, id, own, lim, &u, now, 0, lim.Capacity(), now)
	}
}
