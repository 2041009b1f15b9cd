package tenure

import (
	"slices"
	"time"
)

const (
	// HandoverMax is how long an owner waits without a sign of a holder.
	HandoverMax = 5 * time.Second
	// ClaimEvery is how often it asks.
	ClaimEvery = 50 * time.Millisecond
)

// search is how a node finds out who decides.
type search struct {
	number  uint32        // answers to another are of no use
	from    Process       // who is taken for the holder; 0: all are asked
	without []Process     // while all are: who said that it knows of nobody
	gone    Process       // who held before and is gone
	since   time.Duration // age at which it began, or there was a sign of the holder
	asked   time.Duration // age of the last claims
}

// wait begins to ask: whom it takes for the holder if that one lives, else all.
func (p *Partition) wait(s *Seen, c *Commands) {
	p.state = Waiting
	from, gone := p.holder(s), Process(0)
	switch {
	case from != 0:
	case s.live(s.Before):
		from = s.Before
	case s.Before != 0 && s.Before != s.Self:
		gone = s.Before
	case p.known.After(p.over):
		gone = p.known.Holder
	}
	p.ask = search{number: p.ask.number + 1, from: from, since: s.Now}
	p.inherit(gone)
	p.claim(s, c)
}

// inherit notes that who held is gone. This node is next, and has the copies: it goes before
// those that come anew, and begins even if another owns the partition by then, to hand it
// over. So a process that starts again at once gets back what its former one had.
func (p *Partition) inherit(gone Process) {
	if gone == 0 {
		return
	}
	if p.ask.gone = gone; p.own == (Term{}) {
		p.own = Term{0, gone} // those that held themselves go before it
	}
}

// restart asks anew: what was said before somebody went may not be true any more. from was
// taken for the holder; if that one is gone, all are asked.
func (p *Partition) restart(s *Seen, from Process, c *Commands) {
	p.ask.number++
	p.ask.without = nil
	if p.ask.from = from; from == 0 || !s.live(from) {
		p.ask.from, p.ask.since = 0, s.Now
		p.inherit(from)
	}
	p.claim(s, c)
}

// claim asks those that are to be asked; if that is nobody, the partition is this node's.
func (p *Partition) claim(s *Seen, c *Commands) {
	p.ask.asked = s.Now
	c.Search = p.ask.number
	if p.ask.from != 0 {
		c.Ask = []Process{p.ask.from}
	} else if c.Ask = p.Unasked(s); len(c.Ask) == 0 {
		p.beginOrLeave(s, c)
	}
}

// Unasked is, while all are asked, who has not said yet that it knows of nobody.
func (p *Partition) Unasked(s *Seen) (left []Process) {
	if p.state != Waiting || p.ask.from != 0 {
		return nil
	}
	for _, x := range s.Others {
		if !slices.Contains(p.ask.without, x) {
			left = append(left, x)
		}
	}
	return left
}

// begin makes this node the holder without a "complete".
func (p *Partition) begin(s *Seen, c *Commands) {
	if p.broken&sameNumber == 0 {
		p.top++
	}
	p.decide(s, Term{p.top, s.Self}, c)
	c.Ask = nil
	if !s.live(p.ask.gone) {
		c.Gone = p.ask.gone
	}
}

// beginOrLeave makes this node the holder, unless it only wanted to know who is.
func (p *Partition) beginOrLeave(s *Seen, c *Commands) {
	if p.own == (Term{}) && !s.owns() {
		p.state, c.Late = Foreign, false
		return
	}
	p.begin(s, c)
}

// passed asks again, and begins where there was no sign of a holder for too long.
func (p *Partition) passed(s *Seen, c *Commands) {
	switch {
	case p.state == Ceded && p.lost && p.broken&sendsOnce == 0:
		p.lost, c.Send = false, p.to
	case p.state != Waiting:
	case s.Now-p.ask.since > HandoverMax:
		c.Late = true
		p.beginOrLeave(s, c)
	case s.Now-p.ask.asked >= ClaimEvery:
		p.claim(s, c)
	}
}

// unanswered has a claim repeated. Who refuses lives, and is not one to be replaced.
func (p *Partition) unanswered(s *Seen, e Event) {
	if p.state != Waiting || e.Search != p.ask.number {
		return
	}
	p.ask.asked = s.Now - ClaimEvery
	if e.Refused && e.From == p.ask.from {
		p.ask.since = s.Now
	}
}

// answer says who decides.
func (p *Partition) answer(s *Seen) Answer {
	a := Answer{Known: p.known, Top: p.top}
	switch {
	case p.state.Decides(), p.state == Ceded && p.broken&hidesCession == 0:
		a.Word, a.Held = Here, p.own
	case p.state == Waiting && (p.own != Term{} || s.owns() && p.holder(s) == 0):
		a.Word, a.Held = Perhaps, p.own
	case p.holder(s) != 0:
		a.Word = Elsewhere
	}
	return a
}

// answered follows what somebody says of who decides.
func (p *Partition) answered(s *Seen, e Event, c *Commands) {
	if p.state != Waiting || e.Search != p.ask.number {
		return
	}
	p.learn(s, e.Answer.Known)
	switch e.Answer.Word {
	case Here:
		p.learn(s, e.Answer.Held)
		p.found(s, e.From, c)
	case Perhaps:
		p.denies(e.From, e.Answer.Known)
		if p.ahead(s, e.From, e.Answer.Held) {
			p.nobody(s, e.From, c)
		} else {
			p.found(s, e.From, c)
		}
	case Nobody:
		p.denies(e.From, e.Answer.Known)
		p.nobody(s, e.From, c)
	case Elsewhere:
		switch h := p.holder(s); {
		case h != 0 && h != p.ask.from:
			p.ask.from, p.ask.without = h, nil
			p.claim(s, c)
		case h != 0: // it is being asked
		case e.Answer.Known == p.known && p.known.After(p.over) && p.known.Holder != p.ask.gone:
			// This node does not know the holder yet, or the other one not that it is gone.
		default:
			p.nobody(s, e.From, c) // it does not know that this term is over
		}
	}
}

// ahead says whether this node goes first where it asks and another one does, who held by a
// term, or comes anew.
func (p *Partition) ahead(s *Seen, from Process, held Term) bool {
	if p.broken&waitsForEach != 0 {
		return false
	}
	return p.own.After(held) || p.own == held && s.Self > from
}

// found notes who decides, or is to be waited for.
func (p *Partition) found(s *Seen, from Process, c *Commands) {
	c.Return = p.to != Term{}
	p.own, p.to = Term{}, Term{} // it is another's, whatever this node was
	if !s.owns() {
		p.state = Foreign
		return
	}
	p.ask.from, p.ask.gone, p.ask.without, p.ask.since = from, 0, nil, s.Now
}

// nobody notes that a process knows of no holder. When all say so, there is none.
func (p *Partition) nobody(s *Seen, from Process, c *Commands) {
	if p.ask.from != 0 && p.ask.from != from {
		return // of an earlier claim
	}
	if p.broken&believesFirst != 0 {
		p.begin(s, c)
		return
	}
	first := p.ask.from == from
	p.ask.from = 0
	if !slices.Contains(p.ask.without, from) {
		p.ask.without = append(p.ask.without, from)
	}
	if first || len(p.Unasked(s)) == 0 {
		p.claim(s, c)
	}
}

// rule is a rule that the explorer breaks, to see that it finds that.
type rule uint16

const (
	holdsAgain      rule = 1 << iota // a "complete" that is not newer makes its receiver hold
	believesFirst                    // the first that knows of nobody is believed
	forgetsNoAnswer                  // who was asked before somebody vanished is not asked again
	takesBack                        // what was ceded to who is gone is taken back without asking
	sameNumber                       // who begins does not make a larger number
	hidesCession                     // who has just ceded says that it does not hold
	waitsForEach                     // of two that ask each waits for the other
	sendsOnce                        // a "complete" that was lost is not sent again
)
