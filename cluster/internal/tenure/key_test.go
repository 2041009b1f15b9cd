package tenure

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// tidy drops messages that change nothing any more.
func (w *world) tidy() {
	w.net = slices.DeleteFunc(w.net, func(m message) bool {
		asker := m.to
		if m.kind == claimMessage {
			asker = m.from
		}
		p := &w.procs[asker]
		return m.kind <= answerMessage && (p.life == gone || p.part.state != Waiting || p.part.ask.number != m.search)
	})
}

var seed = maphash.MakeSeed()

// key is the same for worlds that do not differ in what matters.
func (w *world) key() uint64 {
	b := make([]byte, 0, 512)
	u := func(x ...uint64) {
		for _, x := range x {
			b = binary.AppendUvarint(b, x)
		}
	}
	for i := range w.procs {
		p := &w.procs[i]
		if b = append(b, byte(p.life)); p.life == unborn || p.life == gone {
			continue
		}
		b = append(b, p.name, p.heard, p.heardOf, p.beside)
		if p.owes {
			b = append(b, 1)
		}
		for x := range procs {
			b = append(b, byte(p.view[x]), p.knows[x])
		}
		q := &p.part
		b = append(b, byte(q.state))
		u(q.known.Number, uint64(q.known.Holder), q.over.Number, uint64(q.over.Holder), q.own.Number, uint64(q.own.Holder), q.top, uint64(q.bar.from), q.bar.term.Number, uint64(q.bar.term.Holder))
		if u(q.to.Number); q.to != (Term{}) {
			b = append(b, p.ceded[:]...)
			u(uint64(q.to.Holder))
			if q.lost {
				u(1)
			}
		}
		if q.state == Waiting {
			without := uint64(0)
			for _, x := range q.ask.without {
				without |= 1 << x
			}
			u(uint64(q.ask.from), uint64(q.ask.gone), without)
		}
	}
	b = append(b, w.count[:]...)
	b = append(b, w.left[:]...)
	if w.wild {
		b = append(b, 1)
	}
	sum := maphash.Bytes(seed, b)
	for _, m := range w.net { // in any order
		m.search = 0
		sum += maphash.Comparable(seed, m)
	}
	return sum
}
