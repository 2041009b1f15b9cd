package clustertest

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

var (
	seedFlag  = flag.Uint64("weir.seed", 0, "run this seed alone, and print its schedule")
	seedsFlag = flag.Uint64("weir.seeds", seedsDefault, "run so many seeds")
	firstFlag = flag.Uint64("weir.first", 1, "the first of them")
	traceFlag = flag.String("weir.trace", "", "print all requests for this key, with weir.seed")

	hazardsFlag = flag.Bool("weir.hazards", false, "with weather, hazards and drills in all schedules, not in each fifth")
	logFlag     = flag.Bool("weir.log", false, "print what the nodes log, with weir.seed")
)

// foundOnce are seeds that found something. If schedules are made otherwise one day, they
// are seeds like all others.
var foundOnce = []uint64{538, 569, 738, 787, 808, 1886, 2220, 3284, 3988, 4679, 6005, 6146, 6169, 7051, 7187, 7604, 7911, 8495, 9070, 9227, 9840}

// TestRandom plays random schedules of faults under traffic, and lets the oracle judge
// every answer.
func TestRandom(t *testing.T) {
	first, n := *firstFlag, *seedsFlag
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
		t.Log(generate(*seedFlag))
	}
	if testing.Short() {
		n = min(n, 20)
	}
	var seeds []uint64
	for seed := first; seed < first+n; seed++ {
		seeds = append(seeds, seed)
	}
	for _, seed := range foundOnce {
		if *seedFlag == 0 && first == 1 && n < seed && !testing.Short() {
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := generate(seed)
				report(t, s, play(s, newLab(t, s)))
			})
		})
	}
}

// report fails the test if the oracle found fault with a history.
func report(t *testing.T, s *schedule, h *history) {
	t.Helper()
	wrong, checked := judge(h)
	if *seedFlag != 0 {
		t.Logf("%d requests, %d judged exactly", len(h.takes), checked)
		h.trace(t, *traceFlag)
	}
	if len(wrong) == 0 {
		return
	}
	more := ""
	if len(wrong) > 6 {
		more = fmt.Sprintf("\nand %d more", len(wrong)-6)
		wrong = wrong[:6]
	}
	hazards := ""
	if *hazardsFlag {
		hazards = " -weir.hazards"
	}
	t.Fatalf("%v\n%s%s\n\nto run it alone: go test ./cluster/clustertest -run TestRandom -weir.seed=%d%s",
		s, strings.Join(wrong, "\n"), more, s.seed, hazards)
}

// trace prints what happened to one key.
func (h *history) trace(t *testing.T, key string) {
	i := slices.IndexFunc(h.s.budgets, func(b budget) bool { return b.key == key })
	if i < 0 {
		return
	}
	t.Logf("%s is in partition %d", key, idOf(key, &h.s.budgets[i].lim).Partition())
	const clock = "15:04:05.0000"
	for _, e := range h.events {
		t.Logf("%s to %s: %v", e.from.Format(clock), e.to.Format(clock), e.step)
	}
	for _, x := range h.takes {
		if x.budget == i {
			t.Logf("%s to %s: node %d, cost %d: %+v %v", x.from.Format(clock), x.to.Format(clock), x.node, x.cost, x.d, x.err)
		}
	}
	for _, x := range h.gives {
		if x.budget == i {
			t.Logf("%s to %s: node %d gives %d back", x.from.Format(clock), x.to.Format(clock), x.node, x.cost)
		}
	}
}
