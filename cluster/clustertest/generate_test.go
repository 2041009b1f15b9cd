package clustertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
)

// generator makes a schedule from a seed. It keeps track of what would be running,
// so that each step is possible when its turn comes.
type generator struct {
	*rand.Rand
	own     func(part uint64) *rand.Rand // numbers for choices that came later: others stay what they were
	more    *rand.Rand
	s       *schedule
	running []int
	down    []int // killed or crashed, to be restarted
	paused  []int
	split   bool
	cuts    bool
	wires   bool
	total   int // nodes that there have been
}

const nodesMax = 7

// hazardEvery is of how many schedules one has weather, hazards and drills; all with -weir.hazards.
const hazardEvery = 5

func generate(seed uint64) *schedule {
	return generateBy(seed, *hazardsFlag || seed%hazardEvery == 0, func(part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, part)) })
}

// generateBy makes a schedule from random numbers, of which each part has its own.
func generateBy(seed uint64, hazards bool, own func(part uint64) *rand.Rand) *schedule {
	g := &generator{Rand: own(1), more: own(4), own: own, s: &schedule{seed: seed}}
	s := g.s
	s.nodes = pick(g, 2, 3, 3, 4, 4, 5, 5, 6)
	s.replicas = pick(g, 1, 1, 1, 2)
	s.strict = g.IntN(2) == 0
	s.latency = pick(g, 200*time.Microsecond, 200*time.Microsecond, time.Millisecond, 5*time.Millisecond)
	s.skews = make([]time.Duration, s.nodes)
	if g.IntN(4) == 0 {
		for i := range s.skews {
			s.skews[i] = time.Duration(g.IntN(601)-300) * time.Second
		}
	}
	for i := range 2 + g.IntN(3) {
		s.budgets = append(s.budgets, budget{fmt.Sprintf("k%d", i), g.limit()})
	}
	g.bucket()
	g.lease()
	if hazards {
		g.weather()
	}
	if s.weather.together {
		g.do(step{op: opSettle})
	}
	for i := range s.nodes {
		g.running = append(g.running, i)
	}
	g.total = s.nodes
	for range 2 + g.IntN(2) {
		g.round()
	}
	g.move()
	g.guest()
	g.heal()
	if hazards {
		g.hazards()
		g.drills()
	}
	return s
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) limit() limiter.Limit {
	l := limiter.Per(int64(3+g.IntN(60)),
		pick(g, 5*time.Second, 20*time.Second, time.Minute, 10*time.Minute, 10*time.Minute, 3*time.Hour, 24*time.Hour))
	l.Algorithm = pick(g, limiter.FixedWindow, limiter.FixedWindow, limiter.FixedWindow, limiter.FixedWindow,
		limiter.SlidingWindow, limiter.TokenBucket)
	if l.Split = limiter.SplitFull; g.s.strict {
		l.Split = pick(g, limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum)
	}
	return l
}

// bucket adds a token bucket to those that there are, by numbers of its own.
func (g *generator) bucket() {
	r := g.own(7)
	l := limiter.Per(int64(3+r.IntN(60)), []time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 10 * time.Minute, 3 * time.Hour}[r.IntN(5)])
	l.Algorithm, l.Burst = limiter.TokenBucket, 3+r.Int64N(60)
	if l.Split = limiter.SplitFull; g.s.strict {
		l.Split = []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum}[r.IntN(3)]
	}
	g.s.budgets = append(g.s.budgets, budget{"bucket", l})
}

// lease chooses how budgets are leased, by numbers of its own. Where they always are,
// budgets and traffic are larger: the last of a budget is not leased.
func (g *generator) lease() {
	r := g.own(2)
	g.s.busy = r.IntN(3) == 0
	for i := range g.s.budgets {
		l := &g.s.budgets[i].lim
		l.Lease = limiter.Lease(r.IntN(2)) // auto or off
		if g.s.busy && r.IntN(3) > 0 {
			l.Lease, l.Quota = limiter.LeaseAlways, busyFactor*l.Quota
		}
	}
}

const busyFactor = 8

// move chooses who comes back at another address, by numbers of its own.
func (g *generator) move() {
	r := g.own(3)
	for i := range g.s.steps {
		g.s.steps[i].moved = g.s.steps[i].op == opRestart && r.IntN(5) == 0
	}
}

// guest lets a node that is not expected join a side of a split, by numbers of its own.
func (g *generator) guest() {
	r := g.own(5)
	if !g.s.strict || g.total >= nodesMax || r.IntN(2) == 0 {
		return
	}
	var with []step
	var sides [][]int
	for i, x := range g.s.steps {
		joined := sides != nil
		if x.op == opSplit {
			sides = slices.Clone(x.sides)
			at := r.IntN(len(sides))
			sides[at] = append(slices.Clone(sides[at]), g.total)
		}
		if x.op == opSplit && joined {
			x.sides = sides
		}
		with = append(with, x)
		if i > 0 && g.s.steps[i-1].op == opSplit && len(with) == i+1 { // after the traffic, and the first time
			with = append(with, step{op: opJoin, node: g.total, sides: sides, then: time.Duration(r.IntN(3)) * 200 * time.Millisecond})
		}
	}
	if g.s.steps = with; sides != nil {
		g.running = append(g.running, g.total)
		g.total++
	}
}

// heal adds a split that is noticed, and in windows that begin after that spends on both
// sides and while it heals, by numbers of its own: there share and quorum keep to the
// quota. Nodes may come and go on the sides before.
func (g *generator) heal() {
	if !g.s.strict {
		return
	}
	r := g.own(6)
	burst := func(takes int, gap time.Duration) {
		g.do(step{op: opTraffic, load: load{seed: r.Uint64(), workers: 2 + r.IntN(6), takes: takes, gap: gap}})
	}
	sides := [][]int{{}, {}}
	for k, i := range r.Perm(g.total) {
		at := min(k, 1) // none is empty
		if k > 1 {
			at = r.IntN(2)
		}
		sides[at] = append(sides[at], i)
	}
	g.do(step{op: opSplit, sides: sides, then: noticeTime + 5*time.Second})
	i, kind := g.running[r.IntN(len(g.running))], r.IntN(4)
	for _, side := range sides {
		if kind < 2 && g.total > g.s.nodes && len(side) == 1 && side[0] == i {
			kind = 3 // nobody would tell it that the cluster is larger than expected
		}
	}
	switch kind {
	case 0:
		g.do(step{op: opLeave, node: i, then: g.s.latency})
		g.do(step{op: opRestart, node: i})
	case 1:
		g.do(step{op: opKill, node: i, then: time.Duration(r.IntN(10)) * time.Second})
		g.do(step{op: opRestart, node: i})
	case 2:
		if g.total < nodesMax {
			with := [][]int{append(slices.Clone(sides[0]), g.total), sides[1]}
			g.do(step{op: opJoin, node: g.total, sides: with})
			g.running = append(g.running, g.total)
			g.total++
		}
	}
	g.s.steps[len(g.s.steps)-1].then += 30 * time.Second
	burst(40, 10*time.Millisecond)
	g.s.steps[len(g.s.steps)-1].then = time.Second
	g.do(step{op: opHeal})
	burst(100, 80*time.Millisecond) // it heals within some 6 s
	g.do(step{op: opSettle})
	g.traffic()
	g.do(step{op: opSettle})
}

func (g *generator) do(s step) { g.s.steps = append(g.s.steps, s) }

// round is: traffic in peace, a fault or two under traffic, and peace again.
func (g *generator) round() {
	g.traffic()
	if g.IntN(3) == 0 {
		g.moves()
		g.traffic()
	}
	g.do(step{op: opSettle})
	g.traffic()
	g.fault()
	g.traffic()
	if g.more.IntN(4) == 0 { // nodes come and go while something is broken
		g.moves()
		g.traffic()
	}
	if g.IntN(3) == 0 {
		g.fault()
		g.traffic()
	}
	g.clear()
	g.do(step{op: opSettle})
	g.traffic()
	g.do(step{op: opSettle})
}

func (g *generator) traffic() {
	g.do(step{op: opTraffic,
		load: load{seed: g.Uint64(), workers: 1 + g.IntN(5), takes: 1 + g.IntN(16),
			gap: pick(g, 0, 0, time.Millisecond, 10*time.Millisecond, 100*time.Millisecond)},
		then: pick(g, 0, time.Millisecond, 30*time.Millisecond, 300*time.Millisecond)})
}

// moves are what should cost nothing: joins and graceful leaves.
func (g *generator) moves() {
	for range 1 + g.IntN(2) {
		if g.total < nodesMax && !g.s.strict && g.IntN(2) == 0 {
			g.do(step{op: opJoin, then: g.moment()})
			g.running = append(g.running, g.total)
			g.total++
			continue
		}
		if len(g.running) < 2 {
			continue
		}
		i := g.stop()
		g.do(step{op: opLeave, node: i, then: g.moment()})
		if g.IntN(3) > 0 || g.s.strict {
			g.do(step{op: opRestart, node: i, then: g.moment()})
			g.running = append(g.running, i)
		}
	}
}

// stop takes one node out of those that run.
func (g *generator) stop() int {
	k := g.IntN(len(g.running))
	i := g.running[k]
	g.running = slices.Delete(g.running, k, k+1)
	return i
}

func (g *generator) moment() time.Duration {
	return pick(g, 0, 10*time.Millisecond, 200*time.Millisecond, time.Second)
}

// while is how long a fault lasts: unnoticed, noticed by some, by all, or for long.
func (g *generator) while() time.Duration {
	if g.IntN(400) == 0 {
		return time.Hour
	}
	return pick(g, 50*time.Millisecond, 300*time.Millisecond, time.Second, 3*time.Second,
		8*time.Second, 25*time.Second, 25*time.Second, 40*time.Second, 90*time.Second)
}

func (g *generator) fault() {
	switch k := g.IntN(20); {
	case len(g.running) < 2 || k < 7:
		g.do(step{op: opSplit, sides: g.sides(), then: g.moment()})
		g.split = true
		g.traffic()
		g.wait()
	case k < 12:
		i := g.stop()
		g.do(step{op: pick(g, opKill, opKill, opCrash), node: i, then: g.moment()})
		g.down = append(g.down, i)
		if g.traffic(); g.IntN(2) == 0 {
			g.do(step{op: opRestart, node: i, then: g.moment()})
			g.down = slices.DeleteFunc(g.down, func(x int) bool { return x == i })
			g.running = append(g.running, i)
			g.traffic()
		}
		g.wait()
	case k < 14:
		i := g.stop()
		g.do(step{op: opPause, node: i, then: g.moment()})
		g.paused = append(g.paused, i)
		g.traffic()
		g.wait()
	case k < 16:
		a, b := g.two()
		g.do(step{op: opCut, node: a, other: b})
		if g.cuts = true; g.IntN(2) == 0 {
			g.do(step{op: opCut, node: b, other: a})
		}
		g.traffic()
		g.wait()
	case k < 18:
		g.do(step{op: opWires, by: pick(g, g.s.latency, 30*time.Millisecond, 80*time.Millisecond, time.Second),
			loss: pick(g, 0, 0.05, 0.2, 0.4)})
		g.wires = true
		g.traffic()
		g.wait()
	case k < 19:
		for range 2 + g.IntN(6) {
			g.do(step{op: opSplit, sides: g.sides(), then: g.flap()})
			g.traffic()
			g.do(step{op: opHeal, then: g.flap()})
		}
	default:
		g.do(step{op: opJump, node: pick(g, g.running...),
			by: pick(g, time.Hour, time.Minute, 5*time.Second, 300*time.Millisecond)})
		g.traffic()
		g.wait()
	}
}

func (g *generator) wait() { g.s.steps[len(g.s.steps)-1].then += g.while() }

func (g *generator) flap() time.Duration {
	return pick(g, 100*time.Millisecond, 500*time.Millisecond, 2*time.Second, 6*time.Second)
}

func (g *generator) two() (a, b int) {
	a = pick(g, g.running...)
	for b = a; b == a; {
		b = pick(g, g.running...)
	}
	return a, b
}

// sides puts every node that there has been on one of two or three sides.
func (g *generator) sides() [][]int {
	sides := make([][]int, pick(g, 2, 2, 2, 3))
	for i, n := range g.Perm(g.total) {
		s := g.IntN(len(sides))
		if i < len(sides) {
			s = i // no side is empty
		}
		if s < len(sides) {
			sides[s] = append(sides[s], n)
		}
	}
	for _, s := range sides {
		slices.Sort(s)
	}
	return slices.DeleteFunc(sides, func(s []int) bool { return len(s) == 0 })
}

// clear ends all faults, in any order.
func (g *generator) clear() {
	var ends []step
	if g.split || g.cuts {
		ends = append(ends, step{op: opHeal, then: g.moment()})
	}
	if g.wires {
		ends = append(ends, step{op: opWires, by: g.s.latency, then: g.moment()})
	}
	for _, i := range g.paused {
		ends = append(ends, step{op: opResume, node: i, then: g.moment()})
	}
	g.running = append(g.running, g.paused...)
	for _, i := range g.down {
		if len(g.running) > 0 && !g.s.strict && g.IntN(4) == 0 {
			continue // it never comes back
		}
		ends = append(ends, step{op: opRestart, node: i, then: g.moment()})
		g.running = append(g.running, i)
	}
	g.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	for _, e := range ends {
		g.do(e)
	}
	if g.IntN(2) == 0 {
		g.traffic()
	}
	g.split, g.cuts, g.wires, g.paused, g.down = false, false, false, nil, nil
}
