package tenure

import (
	"fmt"
	"slices"
	"time"
)

// The model that the explorer explores: three names, one partition, and messages that may be
// late, lost and repeated. The ring gives the partition to the largest name. A process counts
// once in each of its tenures, and a "complete" carries all counts that its sender knows.

const (
	names = 3
	procs = 5 // that there can be, restarts among them
)

// life is what is true, or believed, of a process.
type life uint8

const (
	unborn life = iota
	alive
	leaving
	gone
)

// fault is something of which there is only so much in one history.
type fault int

const (
	joins fault = iota
	crashes
	restarts
	leaves
	doubts
	losses
	repeats
	timeouts // of "complete"
	suspects // a living process is taken for gone
	expires  // nothing is heard for HandoverMax
	faults
)

type budget [faults]uint8

type process struct {
	life    life
	name    uint8
	view    [procs]life
	part    Partition
	knows   [procs]uint8 // counts of others, and its own
	ceded   [procs]uint8 // that go with its "complete"
	heardOf uint8        // whose table it heard last
	heard   uint8        // that table
	owes    bool         // it has counted, and not handed over since
	denied  bool         // its "complete" was refused
	beside  uint8        // who began while this one asked, after a crash: a bit each
}

type messageKind uint8

const (
	claimMessage messageKind = iota
	answerMessage
	completeMessage
	ackMessage
	denialMessage
)

type message struct {
	kind     messageKind
	from, to uint8
	search   uint32
	term     Term
	held     Term
	top      uint64
	answer   Answer
	counts   [procs]uint8
}

type world struct {
	procs [procs]process
	count [procs]uint8
	begun []Term
	net   []message
	left  budget
	wild  bool   // nodes took living ones for gone: counts may be unknown
	wrong string // what was asserted and is not so
}

const start = time.Hour // all happens at this age, but what waits for time

func (w *world) clone() *world {
	c := *w
	c.begun, c.net = slices.Clone(w.begun), slices.Clone(w.net)
	for i := range c.procs {
		c.procs[i].part.ask.without = slices.Clone(c.procs[i].part.ask.without)
	}
	return &c
}

func (w *world) fail(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

func (p *process) sees(x int) bool { return p.view[x] == alive || p.view[x] == leaving }

// table is the names in a process's ring, a bit each; owner is who owns by it.
func (w *world) table(i int, without int) (table uint8, owner int) {
	p, owner := &w.procs[i], -1
	for x := range procs {
		q := &w.procs[x]
		in := x != i && p.view[x] == alive || x == i && p.life == alive
		if !in || x == without {
			continue
		}
		table |= 1 << q.name
		if owner < 0 || q.name > w.procs[owner].name {
			owner = x
		}
	}
	if owner < 0 && without != i { // it leaves, and nobody stays
		return 1 << p.name, i
	}
	return table, owner
}

func (w *world) seen(i int) *Seen {
	_, owner := w.table(i, -1)
	s := &Seen{Self: Process(i + 1), Owner: Process(owner + 1), Now: start}
	for x := range procs {
		if x != i && w.procs[i].sees(x) {
			s.Others = append(s.Others, Process(x+1))
		}
	}
	return s
}

// step has a process see an event, and does what it commands.
func (w *world) step(i int, s *Seen, e Event) Commands {
	p := &w.procs[i]
	before := p.part
	c := p.part.Step(s, e)
	p.part.ask.since, p.part.ask.asked = start, start
	w.check(i, &before, e, c)
	if p.part.state == Waiting && (before.state != Waiting || before.ask.number != p.part.ask.number) {
		p.beside = 0
	}
	if c.Forget {
		p.owes = false
	}
	if c.Hold {
		w.hold(i, s, e, c)
	}
	for _, to := range c.Ask {
		w.send(message{kind: claimMessage, from: uint8(i), to: uint8(to - 1), search: c.Search, term: p.part.known, held: p.part.own, top: p.part.top})
	}
	if c.Send != (Term{}) {
		w.send(message{kind: completeMessage, from: uint8(i), to: uint8(c.Send.Holder - 1), term: c.Send, counts: p.ceded})
	}
	return c
}

// check asserts of each step that an older term changes nothing.
func (w *world) check(i int, before *Partition, e Event, c Commands) {
	after := &w.procs[i].part
	if after.known.Compare(before.known) < 0 || after.over.Compare(before.over) < 0 || after.top < before.top {
		w.fail("%d: %v goes back to %v", i, before.known, after.known)
	}
	if e.Kind == Completed && !e.Term.After(before.known) && (after.state != before.state || c.Hold || after.own != before.own) {
		w.fail("%d: knows %v, and the older %v makes it %v", i, before.known, e.Term, after.state)
	}
}

// hold asserts what must hold when a process begins to decide.
func (w *world) hold(i int, s *Seen, e Event, c Commands) {
	p := &w.procs[i]
	t := p.part.own
	if t.Holder != s.Self || slices.Contains(w.begun, t) {
		w.fail("%d begins %v, which began before", i, t)
	}
	w.begun = append(w.begun, t)
	for x := range procs {
		q := &w.procs[x]
		switch {
		case x == i, e.Kind == Denied: // it has decided before
		case e.Kind != Completed:
			if q.part.state == Waiting {
				q.beside |= 1 << i
			}
			w.beside(i, x, c)
		case q.beside>>(e.From-1)&1 != 0, q.part.state == Waiting && w.procs[e.From-1].life == gone:
			q.beside |= 1 << i
		}
	}
	w.wild = w.wild || c.Late
	w.count[i]++
	p.owes = true
	p.knows[i] = w.count[i]
}

// beside asserts that who begins without a "complete" does not do so beside another that it
// sees, nor without counts that no crash took. What began while it asked is another matter:
// that takes a crash, and is over as soon as the nodes agree on who lives.
func (w *world) beside(i, x int, c Commands) {
	p, q := &w.procs[i], &w.procs[x]
	if w.wild || c.Late || !p.sees(x) || q.life == gone || p.beside>>x&1 != 0 {
		return
	}
	if q.part.state.Decides() {
		w.fail("%d begins %v beside %d, which decides by %v", i, p.part.own, x, q.part.own)
	}
	if q.owes && p.knows[x] < w.count[x] {
		w.fail("%d begins %v and does not know what %d counted", i, p.part.own, x)
	}
}

func (w *world) send(m message) {
	if len(w.net) < 12 && !slices.Contains(w.net, m) {
		w.net = append(w.net, m)
	}
}

// deliver has a message arrive.
func (w *world) deliver(m message) {
	p, i := &w.procs[m.to], int(m.to)
	if p.life == unborn || p.life == gone {
		w.undelivered(m)
		return
	}
	from := Process(m.from + 1)
	switch s := w.seen(i); m.kind {
	case claimMessage:
		c := w.step(i, s, Event{Kind: Claimed, From: from, Term: m.term, Held: m.held, Top: m.top})
		w.send(message{kind: answerMessage, from: m.to, to: m.from, search: m.search, answer: c.Answer})
	case answerMessage:
		w.step(i, s, Event{Kind: Answered, From: from, Search: m.search, Answer: m.answer})
	case completeMessage:
		if !p.sees(int(m.from)) {
			w.undelivered(m)
			return
		}
		believed := p.part.Believes(s, from, m.term)
		for x := 0; believed && x < procs; x++ {
			p.knows[x] = max(p.knows[x], m.counts[x])
		}
		if c := w.step(i, s, Event{Kind: Completed, From: from, Term: m.term, Final: true}); c.Refused {
			w.send(message{kind: denialMessage, from: m.to, to: m.from, term: m.term})
			return
		}
		w.send(message{kind: ackMessage, from: m.to, to: m.from, term: m.term})
	case ackMessage:
		w.step(i, s, Event{Kind: Acknowledged, From: from, Term: m.term})
	case denialMessage:
		p.denied = true
		w.step(i, s, Event{Kind: Denied, From: from, Term: m.term})
	}
}

// undelivered tells the sender of a call that it failed.
func (w *world) undelivered(m message) {
	sender := m.from
	if m.kind == ackMessage || m.kind == denialMessage {
		sender = m.to
	}
	if l := w.procs[sender].life; m.kind >= completeMessage && (l == alive || l == leaving) {
		w.step(int(sender), w.seen(int(sender)), Event{Kind: Failed, Term: m.term})
	}
}

// view has a process believe something of another.
func (w *world) view(i, x int, l life) {
	p := &w.procs[i]
	if l == alive { // a new process of a name: its former one is gone first
		for y := range procs {
			if y != x && y != i && w.procs[y].name == w.procs[x].name && p.sees(y) {
				w.view(i, y, gone)
			}
		}
	}
	_, before := w.table(i, -1)
	p.view[x] = l
	s := w.seen(i)
	s.Before = Process(before + 1)
	w.step(i, s, Event{Kind: Table})
}

// begin starts a process.
func (w *world) begin(i, name int) {
	p := &w.procs[i]
	*p = process{life: alive, name: uint8(name), part: Partition{broken: p.part.broken}, heardOf: 255}
	for x := range procs {
		if l := w.procs[x].life; x != i && l != unborn && l != gone {
			p.view[x] = l
		}
	}
	_, before := w.table(i, i)
	s := w.seen(i)
	s.Before = Process(before + 1)
	w.step(i, s, Event{Kind: Table})
}
