package quorum

// What can happen in the explorer's world. Each step takes a state to the next one; what
// the rules say is asked of the package itself, unless a rule is broken on purpose.

type explorer struct {
	b bounds
	r rules
}

// event is one thing that can happen.
type event struct {
	what what
	at   int // a message, or a process
}

type what uint8

const (
	delivers what = iota
	claims
	takes
	givesBack // nobody answered its take in time
	startsAnew
	asksForHelp
)

// events calls yield with each event that can happen in a state.
func (e *explorer) events(w *world, yield func(event)) {
	for i := range w.messages {
		yield(event{delivers, i})
	}
	for i := range e.b.procs {
		p, voter := w.procs[i], e.voter(i)
		if w.claims < e.b.claims && p.claiming == (Ballot{}) {
			yield(event{claims, i})
		}
		if w.takes < e.b.takes && p.mine != (Ballot{}) && p.taking == (Ballot{}) && w.spent(p) == 0 {
			yield(event{takes, i})
		}
		if p.taking != (Ballot{}) {
			yield(event{givesBack, i})
		}
		if voter && w.restarts < e.b.restarts && !e.beyond(w, i) && int(w.origins) < originsMax {
			yield(event{startsAnew, i})
		}
		if p.fresh && !p.asked {
			yield(event{asksForHelp, i})
		}
	}
}

// after is the state to which an event leads.
func (e *explorer) after(w *world, x event) world {
	next := *w
	switch x.what {
	case delivers:
		e.deliver(&next, next.remove(x.at))
	case claims:
		e.claim(&next, x.at)
	case takes:
		e.take(&next, x.at)
	case givesBack:
		p := next.change(x.at)
		p.slots[p.origin-1]++
		p.taking, p.acks = Ballot{}, Count{}
	case startsAnew:
		e.restart(&next, x.at)
	case asksForHelp:
		next.change(x.at).asked = true
		e.toOthers(&next, x.at, message{kind: helpMe})
	}
	return next
}

func (e *explorer) voter(i int) bool { return e.b.lists[i].Index(name(i)) >= 0 }

// beyond says whether one more restart is more than the promise covers: a majority that
// has forgotten.
func (e *explorer) beyond(w *world, i int) bool {
	fresh := 1
	for j := range e.b.procs {
		if j != i && e.voter(j) && w.procs[j].fresh {
			fresh++
		}
	}
	return e.b.lists[i].Len()-fresh < e.b.lists[i].Majority()
}

// toOthers sends to the other voters of a process's list.
func (e *explorer) toOthers(w *world, i int, m message) {
	m.from, m.of = uint8(i), w.procs[i].origin
	for j := range e.b.procs {
		if j != i && e.b.lists[i].Index(name(j)) >= 0 {
			m.to = uint8(j)
			w.send(m)
		}
	}
}

func (e *explorer) votes(w *world, i int) bool {
	return e.voter(i) && (!w.procs[i].fresh || e.r.voteFresh)
}

func (e *explorer) claim(w *world, i int) {
	p := w.change(i)
	w.claims++
	b := p.seen.Above(p.life())
	p.claiming, p.grants, p.seen = b, Count{}, b
	if e.votes(w, i) && e.grants(&p.promise, b) {
		p.grants.Add(Vote{e.b.lists[i].Index(name(i)), p.life(), p.lives})
	}
	e.toOthers(w, i, message{kind: claim, ballot: b})
	e.claimed(w, i)
}

func (e *explorer) grants(p *Promise, b Ballot) bool {
	if e.r.grantAny {
		p.Highest = b
		return true
	}
	return p.Grant(b)
}

func (e *explorer) accepts(p *Promise, b Ballot) bool {
	if e.r.acceptAny {
		return true
	}
	return p.Accept(b)
}

func (e *explorer) count(c Count) int {
	if e.r.countReplaced {
		c.replaced = Lives{}
	}
	return c.Votes()
}

func (e *explorer) claimed(w *world, i int) {
	p, need := w.procs[i], e.b.lists[i].Majority()
	if e.r.fewGrants {
		need--
	}
	if p.claiming != (Ballot{}) && e.count(p.grants) >= need {
		p.mine, p.claiming = p.claiming, Ballot{}
	}
}

func (e *explorer) take(w *world, i int) {
	p := w.change(i)
	w.takes++
	p.slots[p.origin-1]++
	p.taking, p.acks = p.mine, Count{}
	if e.votes(w, i) && e.accepts(&p.promise, p.taking) {
		p.acks.Add(Vote{e.b.lists[i].Index(name(i)), p.life(), p.lives})
	}
	m := message{kind: record, ballot: p.taking}
	m.slots[p.origin-1] = p.slots[p.origin-1]
	e.toOthers(w, i, m)
	e.acked(w, i)
}

func (e *explorer) acked(w *world, i int) {
	p, need := w.procs[i], e.b.lists[i].Majority()
	if e.r.fewAcks {
		need--
	}
	if p.taking != (Ballot{}) && e.count(p.acks) >= need {
		p.taking, p.acks = Ballot{}, Count{}
		w.answered++
	}
}

func (e *explorer) restart(w *world, i int) {
	w.restarts++
	w.origins++
	w.procs[i] = &proc{origin: w.origins, fresh: true}
	var left []*message
	for _, m := range w.messages {
		if int(m.to) != i {
			left = append(left, m)
		}
	}
	w.messages = left
}

func (e *explorer) deliver(w *world, m message) {
	i := int(m.to)
	p, from := w.change(i), int(m.from)
	answer := message{from: m.to, to: m.from, of: m.of, ballot: m.ballot}
	mayVote := e.votes(w, i) && (e.r.meetAll || e.b.lists[i].Meets(e.b.lists[from].Marks()))
	switch m.kind {
	case claim:
		if !mayVote {
			return
		}
		p.hear(m.ballot)
		if !e.grants(&p.promise, m.ballot) {
			answer.kind, answer.ballot = refusal, p.promise.Highest
		} else if answer.kind, answer.lives = grant, p.lives; !e.r.grantEmpty {
			answer.slots = p.slots
		}
		e.reply(w, answer, p.origin)
	case record:
		if !mayVote {
			return
		}
		p.hear(m.ballot)
		if !e.accepts(&p.promise, m.ballot) {
			answer.kind, answer.ballot = refusal, p.promise.Highest
		} else {
			p.merge(m.slots)
			answer.kind, answer.lives = ack, p.lives
			answer.slots = m.slots
		}
		e.reply(w, answer, p.origin)
	case helpMe:
		if !e.b.lists[i].Meets(e.b.lists[from].Marks()) {
			return
		}
		answer.kind = freshToo
		if !p.fresh {
			p.lives[from] = max(p.lives[from], uint64(m.of)) // all lists begin alike
			answer.kind, answer.slots, answer.ballot = help, p.slots, p.promise.Highest
			answer.lives = p.lives
			answer.lives[i] = p.life()
		}
		e.reply(w, answer, p.origin)
	default:
		e.hear(w, i, m)
	}
}

// reply sends an answer; it says of which process it is.
func (e *explorer) reply(w *world, m message, origin uint8) {
	m.of = origin
	w.send(m)
}

// hear takes an answer. Those to the process before have been dropped with it.
func (e *explorer) hear(w *world, i int, m message) {
	p, from := w.procs[i], e.b.lists[i].Index(name(int(m.from)))
	v := Vote{from, uint64(m.of), m.lives}
	p.hear(m.ballot)
	switch m.kind {
	case refusal:
		p.mine = Ballot{}
		if p.claiming.Less(m.ballot) {
			p.claiming = Ballot{}
		}
	case grant:
		p.merge(m.slots)
		if from >= 0 && m.ballot == p.claiming {
			p.grants.Add(v)
			e.claimed(w, i)
		}
	case ack:
		if own := p.origin - 1; from >= 0 && m.ballot == p.taking && m.slots[own] == p.slots[own] {
			p.acks.Add(v)
			e.acked(w, i)
		}
	case help:
		if !p.fresh {
			return
		}
		if p.merge(m.slots); p.promise.Highest.Less(m.ballot) && !e.r.recoverBlank {
			p.promise.Highest = m.ballot
		}
		for j, life := range m.lives {
			p.lives[j] = max(p.lives[j], life)
		}
		p.recovery.Helped(from)
		helped, _ := p.recovery.heard()
		if p.recovery.Recovered(e.b.lists[i]) || e.r.recoverEarly && helped+1 >= e.b.lists[i].Majority() {
			p.fresh = false
		}
	case freshToo:
		p.recovery.Fresh(from)
	}
}
