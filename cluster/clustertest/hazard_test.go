package clustertest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What else may happen to a cluster than what breaks it: the weather that it lives with
// all the time, and hazards, of which most should cost nothing.

// draw picks one by the numbers of a part.
func draw[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// weather chooses wires, clocks, starts and loggers, by numbers of its own.
func (g *generator) weather() {
	r, w := g.own(8), &g.s.weather
	if r.IntN(4) == 0 { // round trips of 1 to 200 ms, and more with jitter
		g.s.latency = draw(r, 500*time.Microsecond, 2*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond,
			50*time.Millisecond, 100*time.Millisecond)
		if w.jitter = g.s.latency / draw[time.Duration](r, 1, 2, 4, 1000); r.IntN(3) == 0 {
			for range nodesMax {
				w.sites = append(w.sites, draw(r, 0, 0, g.s.latency, g.s.latency/4))
			}
			g.s.latency /= 4
		}
	}
	if r.IntN(6) == 0 {
		for range nodesMax {
			w.drift = append(w.drift, r.Int64N(401)-200)
		}
	}
	w.together = r.IntN(4) == 0
	if r.IntN(6) == 0 {
		w.dead = 1 + r.IntN(3)
	}
	w.slowLog = r.IntN(6) == 0
}

// hazards adds a round or two of what the rounds before do not know, by numbers of its own.
// At its begin, nothing is broken.
func (g *generator) hazards() {
	r := g.own(9)
	g.atLeastTwo()
	for range 1 + r.IntN(2) {
		g.burst(r, 1+r.IntN(16))
		g.do(step{op: opSettle})
		g.burst(r, 1+r.IntN(16))
		switch r.IntN(9) {
		case 0, 1:
			g.stalls(r)
		case 2:
			g.renamed(r)
		case 3:
			g.rolling(r)
		case 4:
			g.stillborn(r)
		case 5:
			g.together(r)
		case 6:
			g.meeting(r)
		case 7, 8:
			g.steps(r)
		}
		g.do(step{op: opSettle})
		g.burst(r, 1+r.IntN(40))
		g.do(step{op: opSettle})
	}
}

// atLeastTwo brings a node back that has left for good, if one runs alone: with that one all
// counts would end, however it ends.
func (g *generator) atLeastTwo() {
	for i := 0; len(g.running) < 2; i++ {
		if !slices.Contains(g.running, i) {
			g.back(step{op: opRestart, node: i})
		}
	}
}

// burst is traffic of a few callers.
func (g *generator) burst(r *rand.Rand, takes int) {
	g.do(step{op: opTraffic, load: load{seed: r.Uint64(), workers: 1 + r.IntN(6), takes: takes,
		gap: draw(r, 0, time.Millisecond, 10*time.Millisecond, 100*time.Millisecond)},
		then: draw(r, 0, time.Millisecond, 30*time.Millisecond, 300*time.Millisecond)})
}

func (g *generator) soon(r *rand.Rand) time.Duration {
	return draw(r, 0, time.Millisecond, 20*time.Millisecond, 150*time.Millisecond, 400*time.Millisecond, 2*time.Second)
}

// stalls stop a process for so short a time that nobody may notice.
func (g *generator) stalls(r *rand.Rand) {
	for range 1 + r.IntN(3) {
		g.burst(r, 10+r.IntN(60))
		g.do(step{op: opStall, node: draw(r, g.running...), then: g.soon(r),
			by: draw(r, 50*time.Millisecond, 120*time.Millisecond, 300*time.Millisecond, 700*time.Millisecond, 1500*time.Millisecond, 3*time.Second)})
	}
}

// end takes a running node away, gracefully or not.
func (g *generator) end(r *rand.Rand, i int, how op) {
	g.do(step{op: how, node: i, then: g.soon(r)})
	g.running = slices.DeleteFunc(g.running, func(k int) bool { return k == i })
}

func (g *generator) back(x step) {
	g.do(x)
	if g.running = append(g.running, x.nodes...); x.op != opTogether {
		g.running = append(g.running, x.node)
	}
}

// renamed ends a node and starts it under another name at the same address. A voter whose
// name is gone for good would leave less to a quorum each time, so it keeps its name.
func (g *generator) renamed(r *rand.Rand) {
	for range 1 + r.IntN(2) {
		i := draw(r, g.running...)
		g.end(r, i, draw(r, opKill, opKill, opCrash, opLeave))
		g.burst(r, 1+r.IntN(16))
		g.back(step{op: opRestart, node: i, named: !g.s.strict || i >= g.s.nodes, then: g.soon(r)})
		g.burst(r, 1+r.IntN(16))
	}
}

// rolling restarts all nodes, one after the other and faster than gossip tells of it, which
// is late as well.
func (g *generator) rolling(r *rand.Rand) {
	g.do(step{op: opLate, loss: draw(r, 0.02, 0.1, 0.3), by: draw(r, time.Second, 3*time.Second, 8*time.Second)})
	g.burst(r, 20+r.IntN(60))
	for _, i := range slices.Clone(g.running) {
		g.end(r, i, opLeave)
		g.back(step{op: opRestart, node: i, then: g.soon(r)})
	}
	g.burst(r, 1+r.IntN(16))
	g.do(step{op: opLate})
}

// stillborn kills a node once or more often while it starts.
func (g *generator) stillborn(r *rand.Rand) {
	i := draw(r, g.running...)
	g.burst(r, 20+r.IntN(60))
	g.end(r, i, draw(r, opKill, opLeave))
	for range 1 + r.IntN(2) {
		g.do(step{op: opStillborn, node: i, then: g.soon(r),
			by: draw(r, 0, time.Millisecond, 5*time.Millisecond, 30*time.Millisecond, 120*time.Millisecond, 400*time.Millisecond)})
	}
	g.back(step{op: opRestart, node: i})
}

// together ends some nodes, or all, and starts them at the same moment.
func (g *generator) together(r *rand.Rand) {
	how, n := draw(r, opKill, opLeave), 1+r.IntN(len(g.running))
	if how == opLeave && n > 1 {
		n-- // of all that leave, nobody has the counts
	}
	down := slices.Clone(g.running)[:n]
	g.burst(r, 1+r.IntN(16))
	for _, i := range down {
		g.end(r, i, how)
	}
	g.back(step{op: opTogether, nodes: down, anew: len(g.running) == 0, then: g.soon(r)})
	g.burst(r, 1+r.IntN(40))
}

// meeting lets two clusters meet that have different times: one side of a split starts anew,
// with other clocks.
func (g *generator) meeting(r *rand.Rand) {
	if len(g.running) < 2 {
		return
	}
	by := draw(r, time.Second, time.Minute, time.Hour)
	far := slices.Clone(g.running)[:1+r.IntN(len(g.running)-1)]
	var near []int
	for i := range g.total {
		if !slices.Contains(far, i) {
			near = append(near, i)
		}
	}
	for _, i := range far {
		g.end(r, i, draw(r, opKill, opLeave))
		g.do(step{op: opJump, node: i, by: by})
	}
	g.do(step{op: opSplit, sides: [][]int{far, near}})
	g.back(step{op: opTogether, nodes: far, then: g.soon(r)})
	g.burst(r, 10+r.IntN(40))
	g.s.steps[len(g.s.steps)-1].then += draw(r, 0, 5*time.Second, 15*time.Second)
	g.burst(r, 60+r.IntN(100))
	g.do(step{op: opHeal, then: g.soon(r)})
	g.burst(r, 60+r.IntN(100))
}

// steps moves clocks under parallel takes, when budgets are nearly spent.
func (g *generator) steps(r *rand.Rand) {
	for range 3 {
		g.burst(r, 100)
	}
	g.do(step{op: opSettle})
	for range 1 + r.IntN(3) {
		g.do(step{op: opTraffic, load: load{seed: r.Uint64(), workers: 8, takes: 400, gap: draw(r, 0, 100*time.Microsecond, time.Millisecond)}})
		g.do(step{op: opJump, node: draw(r, g.running...), then: draw(r, time.Millisecond, 200*time.Millisecond, 5*time.Second),
			by: draw(r, 300*time.Millisecond, 700*time.Millisecond, 5*time.Second, time.Minute)})
	}
}
