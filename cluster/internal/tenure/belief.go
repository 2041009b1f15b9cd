package tenure

// Whose "complete" is believed. Who hands a partition over must be who holds it, or else two
// nodes would decide: the one that did, and the one that was told to. A node that is to have the
// partition is told so by all that held it. To one that is not it comes where rings differ for a
// moment, and then only of the holder on record is it believed: of the newest term that is known,
// or the owner; and where that is not known yet, this node asks. Who is refused decides again, and
// hands over once more, to whom its ring names then: what was refused is never accepted, however
// late it comes again.

// bar is a "complete" that was refused.
type bar struct {
	from Process
	term Term
}

// Believes says whether a process may hand the partition over, by a term.
func (p *Partition) Believes(s *Seen, from Process, t Term) bool {
	switch {
	case !t.After(p.known):
		return true // it changes nothing
	case t.Number > p.top+leapMost, p.bar.from == from && !t.After(p.bar.term):
		return false
	}
	if p.state != Foreign && (p.state != Waiting || s.owns() || p.own != Term{}) {
		return true // it is to have it, or had it: of two that held it each hands over, as after a split
	}
	holder := p.holder(s)
	if holder == 0 {
		holder = s.Owner
	}
	return from == holder || p.state == Waiting && from == p.ask.from
}

// leapMost is by how much numbers may grow between two messages. Each change of holder takes
// one: who says more at once would use them up, for all.
const leapMost = 1 << 32

// hear notes numbers that somebody named, but not those that cannot be.
func (p *Partition) hear(numbers ...uint64) {
	top := p.top
	for _, n := range numbers {
		if n <= top+leapMost {
			p.top = max(p.top, n)
		}
	}
}

// Contradicts says that another process than one holds, by the newest term that is known.
func (p *Partition) Contradicts(s *Seen, from Process) bool {
	holder := p.holder(s)
	return p.state == Foreign && holder != 0 && holder != from
}

// takeBack makes a node the holder again whose "complete" was refused.
func (p *Partition) takeBack(s *Seen, c *Commands) {
	p.top++
	p.decide(s, Term{p.top, s.Self}, c)
}

// refuse has a node ask who holds, where it does not believe a "complete".
func (p *Partition) refuse(s *Seen, e Event, c *Commands) {
	c.Refused = true
	if e.Final {
		p.bar = bar{e.From, e.Term}
	}
	if p.state == Foreign {
		p.findOut(s, c)
	}
}

// findOut has a node that is not to decide ask who does.
func (p *Partition) findOut(s *Seen, c *Commands) {
	from := p.holder(s)
	if from == 0 && s.live(s.Owner) {
		from = s.Owner
	}
	p.state = Waiting
	p.ask = search{number: p.ask.number + 1, from: from, since: s.Now}
	p.claim(s, c)
}
