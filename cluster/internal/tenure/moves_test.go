package tenure

import (
	"fmt"
	"time"
)

// move is one thing that may happen next.
type move struct {
	name string
	do   func(w *world)
}

// moves are all that may happen next in a world.
func (w *world) moves() (all []move) {
	add := func(name string, do func(w *world)) { all = append(all, move{name, do}) }
	spend := func(f fault, name string, do func(w *world)) {
		if w.left[f] > 0 {
			add(name, func(w *world) { w.left[f]--; do(w) })
		}
	}
	for k, m := range w.net {
		text := fmt.Sprintf("%v", m)
		take := func(w *world) { w.net = append(w.net[:k:k], w.net[k+1:]...) }
		add("deliver "+text, func(w *world) { take(w); w.deliver(m) })
		spend(losses, "lose "+text, func(w *world) { take(w); w.undelivered(m) })
		if m.kind == completeMessage {
			spend(repeats, "deliver and keep "+text, func(w *world) { w.deliver(m) })
		}
	}
	for i := range procs {
		w.movesOf(i, add, spend)
	}
	return all
}

// movesOf are those of one process.
func (w *world) movesOf(i int, add func(string, func(*world)), spend func(fault, string, func(*world))) {
	p := &w.procs[i]
	if p.life == unborn {
		if i > 0 && w.procs[i-1].life != unborn {
			w.births(i, spend)
		}
		return
	}
	if p.life == gone {
		return
	}
	for x := range procs {
		q := &w.procs[x]
		if x != i && q.life != unborn && p.view[x] != q.life && (p.view[x] != unborn || q.life != gone) {
			add(fmt.Sprint(i, " learns of ", x), func(w *world) { w.view(i, x, w.procs[x].life) })
		}
		if x != i && p.sees(x) && q.life == alive {
			spend(suspects, fmt.Sprint(i, " suspects ", x), func(w *world) { w.wild = true; w.view(i, x, gone) })
		}
	}
	spend(crashes, fmt.Sprint(i, " crashes"), func(w *world) { w.procs[i].life = gone })
	spend(doubts, fmt.Sprint(i, " doubts"), func(w *world) { w.step(i, w.seen(i), Event{Kind: Doubted}) })
	if p.life == alive {
		spend(leaves, fmt.Sprint(i, " leaves"), func(w *world) {
			_, before := w.table(i, -1)
			w.procs[i].life = leaving
			s := w.seen(i)
			s.Before = Process(before + 1)
			w.step(i, s, Event{Kind: Table})
		})
	} else if p.part.state == Foreign {
		add(fmt.Sprint(i, " has left"), func(w *world) { w.procs[i].life = gone })
	}
	w.handing(i, add, spend)
}

// births are how a process may begin.
func (w *world) births(i int, spend func(fault, string, func(*world))) {
	for name := range names {
		last := unborn
		for x := range procs {
			if q := &w.procs[x]; q.life != unborn && int(q.name) == name {
				last = q.life
			}
		}
		switch last {
		case unborn:
			spend(joins, fmt.Sprint(i, " joins as ", name), func(w *world) { w.begin(i, name) })
		case gone:
			spend(restarts, fmt.Sprint(i, " is ", name, " again"), func(w *world) { w.begin(i, name) })
		}
	}
}

// handing is what a process does by itself: hear of the owner's table, cede, ask again.
func (w *world) handing(i int, add func(string, func(*world)), spend func(fault, string, func(*world))) {
	p := &w.procs[i]
	switch p.part.state {
	case Draining:
		mine, owner := w.table(i, -1)
		if owner == i || !p.sees(owner) {
			return
		}
		theirs, _ := w.table(owner, -1)
		l := w.procs[owner].life
		if (l == alive || l == leaving) && (int(p.heardOf) != owner || p.heard != theirs) {
			add(fmt.Sprint(i, " hears of the table of ", owner), func(w *world) { w.procs[i].heard, w.procs[i].heardOf = theirs, uint8(owner) })
		}
		if int(p.heardOf) == owner && p.heard == mine {
			again := ""
			if p.denied { // not before all else has happened
				again = ", or asks again"
			}
			add(fmt.Sprint(i, " cedes to ", owner, again), func(w *world) {
				w.procs[i].ceded = w.procs[i].knows
				w.step(i, w.seen(i), Event{Kind: Ceding})
			})
		}
	case Waiting, Ceded:
		quiet := p.part.state == Waiting || p.part.lost
		for _, m := range w.net {
			if p.part.state == Waiting && (m.kind == claimMessage && int(m.from) == i || m.kind == answerMessage && int(m.to) == i) {
				quiet = false
			}
		}
		if quiet {
			add(fmt.Sprint(i, " asks again"), func(w *world) { w.pass(i, ClaimEvery) })
		}
		if p.part.state == Ceded && !p.part.lost {
			spend(timeouts, fmt.Sprint("the complete of ", i, " times out"), func(w *world) {
				w.step(i, w.seen(i), Event{Kind: Failed, Term: w.procs[i].part.to})
			})
		}
		if p.part.state == Waiting {
			spend(expires, fmt.Sprint(i, " hears nothing"), func(w *world) { w.pass(i, HandoverMax+1) })
		}
	}
}

func (w *world) pass(i int, d time.Duration) {
	s := w.seen(i)
	s.Now += d
	w.step(i, s, Event{Kind: Passed})
}
