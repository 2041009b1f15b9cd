package tenure

// Partition is the tenure of one partition at one node. The zero value is Foreign, and
// knows of no term.
type Partition struct {
	state State
	known Term   // the newest of which this node knows that it has begun
	over  Term   // neither it nor any before it has a holder any more
	own   Term   // by which this node decides, or did before Waiting and Ceded, or one did that is gone; zero: it comes anew
	to    Term   // that begins with its "complete", until that is acknowledged; else zero
	lost  bool   // "complete" must be sent again
	top   uint64 // the largest number heard of
	bar   bar    // the last "complete" that was refused
	ask   search // in Waiting

	broken rule // for the explorer
}

// State is what this node is for the partition.
func (p *Partition) State() State { return p.state }

// Known is the newest term of which this node knows.
func (p *Partition) Known() Term { return p.known }

// Claim is what a claim tells of this node: the newest term that it knows, by which it held,
// if it did and asks whether it still does, and the largest number.
func (p *Partition) Claim() (known, held Term, top uint64) { return p.known, p.own, p.top }

// Step changes the state by an event, and returns what is to be done.
func (p *Partition) Step(s *Seen, e Event) (c Commands) {
	p.hear(e.Term.Number, e.Top, e.Answer.Held.Number, e.Answer.Known.Number, e.Answer.Top)
	switch e.Kind {
	case Table:
		p.table(s, &c)
	case Passed:
		p.passed(s, &c)
	case Claimed:
		p.learn(s, e.Term)
		p.denies(e.From, e.Term)
		if p.state == Ceded && e.Held == p.to {
			p.leave(s, &c) // it has arrived, and who asks is in doubt of it
		}
		c.Answer = p.answer(s)
	case Answered:
		p.answered(s, e, &c)
	case Unanswered:
		p.unanswered(s, e)
	case Completed:
		p.completed(s, e, &c)
	case Ceding:
		p.cede(s, &c)
	case Acknowledged:
		if p.state == Ceded && e.Term == p.to {
			p.leave(s, &c)
		}
	case Failed:
		p.lost = p.lost || p.state == Ceded && e.Term == p.to
	case Told:
		p.learn(s, e.Term)
		p.denies(e.From, e.Term)
	case Denied:
		if p.state == Ceded && e.Term == p.to {
			p.takeBack(s, &c)
		}
	case Doubted:
		p.doubt(s, &c)
	case Resigned:
		p.resign(&c)
	}
	return c
}

// learn notes a term that somebody named: it has begun, for nobody but its holder names it
// before. So this node's own terms are no news.
func (p *Partition) learn(s *Seen, t Term) {
	if t.Holder != s.Self && t.Number <= p.top {
		p.known = later(p.known, t)
	}
}

// denies notes that a process that does not hold knows a term: if it is its own, that is over.
func (p *Partition) denies(from Process, t Term) {
	if t.Holder == from {
		p.over = later(p.over, t)
	}
}

// holder is who holds, as far as this node knows; 0 if it does not know.
func (p *Partition) holder(s *Seen) Process {
	if p.known.After(p.over) && s.live(p.known.Holder) {
		return p.known.Holder
	}
	return 0
}

// table follows a change of the ring or of who lives.
func (p *Partition) table(s *Seen, c *Commands) {
	switch p.state {
	case Foreign:
		if s.owns() {
			p.wait(s, c)
		}
	case Waiting:
		switch {
		case p.to != Term{} && s.live(p.to.Holder):
			p.state, p.lost = Ceded, true // it is not gone after all
		case p.own == Term{} && !s.owns():
			p.state = Foreign
		case p.broken&forgetsNoAnswer != 0 && (p.ask.from == 0 || s.live(p.ask.from)):
		default:
			p.restart(s, p.ask.from, c)
		}
	case Holding, Draining:
		p.state = s.deciding()
	case Ceded:
		switch {
		case s.live(p.to.Holder):
		case p.broken&takesBack != 0:
			p.begin(s, c)
		default: // it may have arrived, and be with somebody else by now
			p.state = Waiting
			p.restart(s, p.to.Holder, c)
		}
	}
}

// completed takes the partition over from who decided until now. What is not newer was
// here before, or is of a holder that others have replaced.
func (p *Partition) completed(s *Seen, e Event, c *Commands) {
	switch {
	case !e.Term.After(p.known) && p.broken&holdsAgain == 0:
	case !p.Believes(s, e.From, e.Term):
		p.refuse(s, e, c)
	default:
		p.decide(s, e.Term, c)
	}
}

// decide makes this node the holder.
func (p *Partition) decide(s *Seen, t Term, c *Commands) {
	c.Hold, c.Return = true, p.to != Term{}
	p.known, p.own, p.to = t, t, Term{}
	p.state = s.deciding()
}

// cede hands the partition over to its owner.
func (p *Partition) cede(s *Seen, c *Commands) {
	p.top++
	p.to = Term{p.top, s.Owner}
	p.state, p.lost = Ceded, false
	c.Send = p.to
}

// MayCede says whether the partition is to be handed over to its owner.
func (p *Partition) MayCede(s *Seen) bool { return p.state == Draining && s.live(s.Owner) }

// leave ends a cession: it has arrived.
func (p *Partition) leave(s *Seen, c *Commands) {
	c.Forget = true
	p.known = later(p.known, p.to)
	p.own, p.to = Term{}, Term{}
	if p.state = Foreign; s.owns() {
		p.wait(s, c)
	}
}

// doubt stops deciding until the others have been asked.
func (p *Partition) doubt(s *Seen, c *Commands) {
	switch p.state {
	case Holding, Draining:
		c.Drop = true
		p.over = later(p.over, p.own)
		p.wait(s, c)
	case Waiting:
		p.restart(s, p.ask.from, c)
	}
}

func (p *Partition) resign(c *Commands) {
	if p.to != (Term{}) {
		return
	}
	c.Drop = p.state.Decides()
	p.over = later(p.over, p.own)
	p.own, p.state = Term{}, Foreign
}

// Whom is who is to be asked in place of this node, which does not decide: a term of number
// 0 is a guess, a holder of 0 nobody. Who does not hold either names a newer term, or the
// partition is on its way.
func (p *Partition) Whom(s *Seen) Term {
	switch h := p.holder(s); {
	case p.state == Ceded:
		return Term{0, p.to.Holder}
	case p.state == Waiting && p.ask.from != h:
		return Term{0, p.ask.from}
	case h != 0:
		return p.known
	case p.state == Foreign && !s.owns():
		return Term{0, s.Owner}
	}
	return Term{}
}
