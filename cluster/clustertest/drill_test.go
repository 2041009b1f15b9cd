package clustertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
)

// drills adds one round in which a rule is put to the test that chance alone seldom
// meets, by numbers of its own: budgets are where they must be for its breach to show. At its
// begin, nothing is broken.
func (g *generator) drills() {
	r := g.own(10)
	l := limiter.Limit{Quota: 300, Window: draw(r, 10*time.Minute, 3*time.Hour), Lease: limiter.LeaseOff}
	if g.s.strict {
		l.Split = draw(r, limiter.SplitShare, limiter.SplitQuorum)
	}
	g.s.drilled = true
	g.s.budgets = append(g.s.budgets, budget{fmt.Sprint("drill", r.IntN(100)), l})
	g.atLeastTwo()
	g.do(step{op: opSettle})
	switch kind := r.IntN(5); {
	case kind < 2 && g.s.strict:
		g.crashInCalm(r)
	case kind == 2:
		g.spentStaysSpent(r)
	default:
		g.answersComeLate(r)
	}
	g.do(step{op: opSettle})
	g.burst(r, 1+r.IntN(40))
	g.do(step{op: opSettle})
}

// crashInCalm ends one node while others are asked before, until long after that is noticed:
// what it did not hold is not throttled.
func (g *generator) crashInCalm(r *rand.Rand) {
	if r.IntN(2) == 0 { // in a cluster where everything was nobody's
		all := slices.Clone(g.running)
		for _, i := range all {
			g.end(r, i, opKill)
		}
		g.back(step{op: opTogether, nodes: all, anew: true})
		g.do(step{op: opSettle})
	}
	i := draw(r, g.running...)
	g.do(step{op: opTraffic, then: draw(r, time.Millisecond, 150*time.Millisecond, time.Second),
		load: load{seed: r.Uint64(), workers: 3, takes: 40, gap: 200 * time.Millisecond, drill: true}})
	g.end(r, i, draw(r, opKill, opCrash))
	g.s.steps[len(g.s.steps)-1].then += 10 * time.Second
	g.back(step{op: opRestart, node: i, then: g.soon(r)})
}

// spentStaysSpent spends all budgets, and then moves them through many hands at once: nodes
// leave and start together, or one after the other while gossip is late.
func (g *generator) spentStaysSpent(r *rand.Rand) {
	for range 3 {
		g.burst(r, 100)
	}
	g.do(step{op: opSettle})
	if r.IntN(3) == 0 {
		g.rolling(r)
		return
	}
	down := slices.Clone(g.running[:1+r.IntN(len(g.running)-1)])
	for _, i := range down {
		g.end(r, i, opLeave)
	}
	g.do(step{op: opSettle})
	g.back(step{op: opTogether, nodes: down})
	g.do(step{op: opTraffic, load: load{seed: r.Uint64(), workers: 4, takes: 100, gap: draw(r, time.Millisecond, 10*time.Millisecond)}})
}

// answersComeLate holds answers up, so that askers go on to others: a process stalls, or what
// one node says does not reach another. When it is over, each request was counted once.
func (g *generator) answersComeLate(r *rand.Rand) {
	g.do(step{op: opTraffic, then: 101 * time.Millisecond,
		load: load{seed: r.Uint64(), workers: 3 + r.IntN(3), takes: 20 + r.IntN(20), gap: 20 * time.Millisecond, drill: true}})
	i := draw(r, g.running...)
	if r.IntN(2) == 0 {
		g.do(step{op: opStall, node: i, then: 400 * time.Millisecond,
			by: draw(r, 150*time.Millisecond, 300*time.Millisecond, 600*time.Millisecond)})
		return
	}
	k := draw(r, g.running...)
	for k == i {
		k = draw(r, g.running...)
	}
	g.do(step{op: opCut, node: i, other: k, then: 700 * time.Millisecond})
	g.do(step{op: opHeal})
}
