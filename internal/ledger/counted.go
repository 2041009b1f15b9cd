package ledger

// Counted is what each origin has counted of a budget, as far as it counts still: Cur in the window
// of now and Prev in the one before, or of a bucket the tokens taken since it was full last.
func (l *Ledger) Counted(id ID, lim Limit, now int64) (all []Slot) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	end, full := l.windowEnd(id, &lim, now), lim.Capacity()*lim.Interval()
	t := p.tableOf(id)
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		e := &t.places[i]
		s := Slot{ID: id, Origin: l.origins.name(e.origin), At: e.at}
		switch {
		case e.due&beside != 0:
			continue
		case lim.Algorithm == TokenBucket:
			if e.at+full <= now {
				continue
			}
			s.Cur = e.cur
		default:
			var u usage
			if u.add(e, &lim, end); u.cur == 0 && u.prev == 0 {
				continue
			}
			s.Cur, s.Prev = saturate(u.cur), saturate(u.prev)
		}
		all = append(all, s)
	}
	return all
}
