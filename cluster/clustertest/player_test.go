package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/weir-go/weir/limiter"
)

// lab is what a schedule is played on: a cluster, or an imitation of one with a known
// fault, by which the oracle itself is tested.
type lab interface {
	Split(sides ...[]int)
	Heal()
	Cut(a, b int)
	Kill(i int)
	Crash(i int)
	Restart(i int)
	Move(i int)
	Leave(i int) error
	Add(sides ...[]int) int
	Pause(i int)
	Resume(i int)
	Skew(i int, d time.Duration)
	Whole(nodes ...int) bool
	State() string
	Running() []int

	wires(latency time.Duration, loss float64)
	late(share float64, most time.Duration)
	stall(i int, d time.Duration)
	rename(i int)
	stillborn(i int, after time.Duration)
	together(nodes ...int)
	taker(i int) taker
}

// taker is a node as its callers see it.
type taker interface {
	Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error)
	Give(ctx context.Context, key string, l limiter.Limit, cost int64) error
}

// player plays a schedule.
type player struct {
	lab lab
	s   *schedule
	h   *history
	wg  sync.WaitGroup

	mu   sync.Mutex
	live []taker // by node; nil where callers cannot ask it
	skew []time.Duration
	now  step
}

const (
	settleTime = 1200 * time.Millisecond // for what changed last to be shipped, leases to come back, and denials to be forgotten
	breakTime  = 8 * time.Second         // for suspicions to end, links to be used again, and shares to be whole
	clockTime  = 20 * time.Second        // for clocks to agree again after one jumped
	callEach   = 100 * time.Millisecond  // CallTimeout: for who holds and each successor, besides round trips
	callMost   = 2 * time.Second         // at most, where round trips may have been longer
	callMax    = 2*callEach + 4*time.Millisecond
	grain      = 2 * time.Millisecond
)

// play plays a schedule from beginning to end and returns what was seen.
func play(s *schedule, l lab) *history {
	p := &player{lab: l, s: s, h: &history{s: s}}
	for i, d := range s.skews {
		p.skew = append(p.skew, d)
		p.started(i)
	}
	for _, x := range s.steps {
		p.mu.Lock()
		p.now = x
		p.mu.Unlock()
		e := event{step: x, from: time.Now()}
		p.do(x)
		e.to = time.Now()
		p.h.events = append(p.h.events, e)
		if p.h.failed != "" {
			break
		}
		time.Sleep(x.then)
	}
	p.wg.Wait()
	return p.h
}

func (p *player) do(s step) {
	switch s.op {
	case opTraffic:
		p.traffic(s.load)
	case opSplit:
		p.lab.Split(s.sides...)
	case opHeal:
		p.lab.Heal()
	case opCut:
		p.lab.Cut(s.node, s.other)
	case opKill:
		p.stopped(s.node)
		p.lab.Kill(s.node)
	case opCrash:
		p.stopped(s.node)
		p.lab.Crash(s.node)
	case opLeave:
		p.stopped(s.node)
		p.lab.Leave(s.node)
	case opRestart:
		switch {
		case s.moved:
			p.lab.Move(s.node)
		case s.named:
			p.lab.rename(s.node)
		default:
			p.lab.Restart(s.node)
		}
		p.started(s.node)
	case opTogether:
		p.lab.together(s.nodes...)
		for _, i := range s.nodes {
			p.started(i)
		}
	case opStillborn: // nobody calls it, but the others may ask it
		l := lifetime{node: s.node, from: time.Now()}
		p.lab.stillborn(s.node, s.by)
		l.to = time.Now()
		p.h.starts = append(p.h.starts, l)
	case opJoin:
		p.skew = append(p.skew, 0)
		p.started(p.lab.Add(s.sides...))
	case opPause:
		p.hide(s.node)
		p.lab.Pause(s.node)
	case opResume:
		p.lab.Resume(s.node)
		p.show(s.node)
	case opStall:
		p.hide(s.node)
		p.lab.stall(s.node, s.by)
		p.show(s.node)
	case opWires:
		p.lab.wires(s.by, s.loss)
	case opLate:
		p.lab.late(s.loss, s.by)
	case opJump: // where the node is down, its next process starts with that
		p.skew[s.node] += s.by
		p.lab.Skew(s.node, p.skew[s.node])
	case opSettle:
		p.settle()
	}
}

func (p *player) started(i int) {
	p.h.starts = append(p.h.starts, lifetime{node: i, from: time.Now()})
	p.show(i)
}

func (p *player) stopped(i int) {
	for k := range p.h.starts {
		if l := &p.h.starts[k]; l.node == i && l.to.IsZero() {
			l.to = time.Now()
		}
	}
	p.hide(i)
}

func (p *player) show(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.live) <= i {
		p.live = append(p.live, nil)
	}
	p.live[i] = p.lab.taker(i)
}

func (p *player) hide(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[i] = nil
}

// choose is a node that callers can ask, by chance, or nil.
func (p *player) choose(r *rand.Rand) (int, taker, step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range r.Perm(len(p.live)) {
		if p.live[i] != nil {
			return i, p.live[i], p.now
		}
	}
	return 0, nil, p.now
}

func (p *player) isLive(i int, t taker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live[i] == t
}

// traffic starts a burst; it may go on while the next steps happen.
func (p *player) traffic(l load) {
	for w := range l.workers {
		p.wg.Go(func() {
			r := rand.New(rand.NewPCG(l.seed, uint64(w)))
			takes := l.takes
			if p.s.busy && !l.drill {
				takes *= busyFactor / 2
			}
			for range takes {
				if i, t, at := p.choose(r); t != nil {
					p.request(r, i, t, at, l.drill)
				}
				time.Sleep(l.gap)
			}
		})
	}
}

// request makes one take or look, and gives a few of those that were admitted back.
func (p *player) request(r *rand.Rand, i int, t taker, at step, drill bool) {
	last := len(p.s.budgets)
	if p.s.drilled {
		last--
	}
	b, cost := r.IntN(last), int64(1)
	if drill {
		b = last
	}
	switch r.IntN(20) {
	case 0, 1, 2, 3:
		cost = 1 + r.Int64N(3) // every quota is at least 3
	case 4:
		cost = 0
	}
	x := p.ask(&take{node: i, budget: b, cost: cost, at: at}, t)
	fixed := p.s.budgets[b].lim.Algorithm != limiter.SlidingWindow
	if x.err != nil || !x.d.Allowed || cost == 0 || r.IntN(16) > 0 || !fixed || x.d.ResetAfter < time.Second || !p.isLive(i, t) {
		return
	}
	g := &take{node: i, budget: b, cost: cost, from: time.Now(), d: x.d, at: at}
	g.err = t.Give(context.Background(), p.s.budgets[b].key, p.s.budgets[b].lim, cost)
	g.to, g.orphan = time.Now(), !p.isLive(i, t)
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.h.gives = append(p.h.gives, g)
}

// ask makes one take and notes it down.
func (p *player) ask(x *take, t taker) *take {
	b := p.s.budgets[x.budget]
	x.from = time.Now()
	x.d, x.err = t.Take(context.Background(), b.key, b.lim, x.cost)
	x.to, x.orphan = time.Now(), !p.isLive(x.node, t)
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.h.takes = append(p.h.takes, x)
	return x
}

// settle waits until traffic has ended and the cluster is whole, and looks at every
// budget on every node.
func (p *player) settle() {
	p.wg.Wait()
	p.waitWhole()
	if p.h.jumped() {
		time.Sleep(clockTime)
	}
	if p.h.troubled() {
		time.Sleep(breakTime)
		p.waitWhole() // somebody may have been taken for dead just now
	}
	time.Sleep(settleTime + 20*p.s.oneWay())
	synctest.Wait()
	p.h.peace = append(p.h.peace, time.Now())
	for b := range p.s.budgets {
		for _, i := range p.lab.Running() {
			p.ask(&take{node: i, budget: b, look: len(p.h.peace), at: step{op: opSettle}}, p.lab.taker(i))
		}
	}
}

func (p *player) waitWhole() {
	for start := time.Now(); !p.lab.Whole(); time.Sleep(settlePoll) {
		if time.Since(start) > settleMax {
			p.h.failed = fmt.Sprintf("the cluster is not whole %v after the last fault ended%s", settleMax, p.lab.State())
			return
		}
	}
}
