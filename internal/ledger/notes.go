package ledger

// What stands beside a bucket's slot: one entry for each other origin of which the slot
// takes something into account, and one for the pace of a share, where it was counted
// under one. They have the slot's id and origin, so they are found, moved, and dropped
// as slots are. There are none where one origin counts, as nearly always.
//
//	prev     whose version is known: an index into Ledger.origins; or pacing
//	version  the version known
//	at       of a pace: when the share is full again
//
// A slot's notes matter only as long as there is no other slot that takes into account
// all that it does: that one's account is never larger. So where one knows the other,
// the other's notes are dropped, and a chain of holders leaves one note for each.
const pacing = -1

// stands says whether an entry belongs to the slot that an origin wrote.
func (e *entry) stands(by uint16) bool { return e.due&beside != 0 && e.origin == by }

// remember notes beside this process's slot, which was just written, which versions of
// the others it takes into account.
func (l *Ledger) remember(p *partition, id ID, now int64) {
	l.dropBeside(p, id, func(e *entry) bool {
		if e.prev == pacing {
			return false
		}
		of := p.entryOf(ref{id, uint16(e.prev)})
		return e.origin != 0 || of == nil || !of.liveAt(now)
	})
	own := p.entryOf(ref{id, 0})
	like, n := *own, 0
	var missing [KnownMost]note
	known, t := 0, p.tableOf(id)
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		e := &t.places[i]
		if e.due&beside != 0 || e.origin == 0 || !e.liveAt(now) {
			continue
		}
		if x := p.besideOf(id, 0, int32(e.origin)); x != nil {
			x.version, x.expires, x.fill = e.version, like.expires, min(like.fill, 254)
			known++
		} else if n < len(missing) {
			missing[n] = note{0, e.origin, e.version}
			n++
		}
	}
	for _, m := range missing[:min(n, KnownMost-known)] {
		l.putBeside(p, id, &like, int32(m.of), m.version, 0, now)
	}
}

// pace notes beside this process's slot when the share is full again that it was counted
// under. It returns false where there is no room.
func (l *Ledger) pace(p *partition, id ID, at, now int64) bool {
	if x := p.besideOf(id, 0, pacing); x != nil {
		x.at, x.expires = at, seconds(at)
		return true
	}
	like := *p.entryOf(ref{id, 0})
	like.expires = seconds(at)
	return l.putBeside(p, id, &like, pacing, 0, at, now)
}

// besideOf finds what an origin's slot has beside it of one kind, or nil.
func (p *partition) besideOf(id ID, by uint16, of int32) *entry {
	t := p.tableOf(id)
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		if e := &t.places[i]; e.stands(by) && e.prev == of {
			return e
		}
	}
	return nil
}

// putBeside stores something beside a slot, if there is room. What was known of entries'
// places is void then. Nothing that is blocked has to go for it, and no slot of the id.
func (l *Ledger) putBeside(p *partition, id ID, slot *entry, of int32, version uint64, at, now int64) bool {
	if !l.place() && !l.evict(p, id, now, false, true) {
		return false
	}
	t := l.roomFor(p, id, now)
	p.used++
	p.beside++
	t.insert(entry{hi: id.Hi, lo: id.Lo, origin: slot.origin, due: beside, prev: of, version: version, at: at,
		expires: slot.expires, fill: min(slot.fill, 254)})
	return true
}

// dropBeside drops what drop picks of all that stands beside the slots of an id.
func (l *Ledger) dropBeside(p *partition, id ID, drop func(e *entry) bool) {
	t := p.tableOf(id)
	for i := t.first(id); i >= 0; {
		if e := &t.places[i]; e.due&beside == 0 || !drop(e) {
			i = t.after(id, i)
			continue
		}
		l.removeAt(p, t, i)
		l.live.Add(-1)
		i = t.first(id) // others have moved
	}
}

// mergeBeside replaces what stands beside a slot that has just come from its origin o.
func (l *Ledger) mergeBeside(p *partition, s *Slot, o uint16, now int64) {
	superseded := false
	l.dropBeside(p, s.ID, func(e *entry) bool {
		if e.prev == int32(o) && e.origin != o && e.version >= s.Version {
			superseded = true
		}
		return e.origin == o
	})
	slot := *p.entryOf(ref{s.ID, o})
	if s.Paced > now && s.Paced <= int64(s.Expires)*1e9 {
		paced := slot
		paced.expires = seconds(s.Paced)
		l.putBeside(p, s.ID, &paced, pacing, 0, s.Paced, now)
	}
	for _, k := range s.Knows[:min(len(s.Knows), KnownMost)] {
		of, ok := l.origins.lookup(k.Origin)
		if !ok || of == o {
			continue
		}
		if !superseded {
			l.putBeside(p, s.ID, &slot, int32(of), k.Version, 0, now)
		}
		if other := p.entryOf(ref{s.ID, of}); other != nil && other.version <= k.Version {
			l.dropBeside(p, s.ID, func(e *entry) bool { return e.prev != pacing && e.origin == of })
		}
	}
}

// readBeside reads what stands beside a slot.
func (l *Ledger) readBeside(p *partition, e *entry, s *Slot) {
	t, id := p.tableOf(s.ID), s.ID
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		switch x := &t.places[i]; {
		case !x.stands(e.origin):
		case x.prev == pacing:
			s.Paced = x.at
		default:
			s.Knows = append(s.Knows, Known{l.origins.name(uint16(x.prev)), x.version})
		}
	}
}
