package clustertest

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// flaw is what is wrong with an imitation.
type flaw string

const (
	flawless        flaw = "nothing"
	forgetsKilled   flaw = "what a killed node admitted is forgotten"
	forgetsLeft     flaw = "what a node admitted that left is forgotten"
	forgetsOnHeal   flaw = "counters start anew after a heal"
	lastWriterWins  flaw = "after a heal one side's counters replace the other's"
	maximum         flaw = "counts are joined by their maximum, not their sum"
	countsTwice     flaw = "an admitted request is counted twice"
	oneTooMany      flaw = "one more than the quota is admitted"
	oneTooFew       flaw = "one less than the quota is admitted"
	guestsCount     flaw = "a side of a split grows by nodes that join it"
	fullAlways      flaw = "every side of a split has the whole quota"
	alone           flaw = "each node counts for itself"
	divided         flaw = "each node has its part of the quota"
	ownWindows      flaw = "windows begin with the first request"
	neverEnds       flaw = "windows do not end"
	late            flaw = "some answers are late"
	fails           flaw = "requests fail while a node is down"
	keepsRefunds    flaw = "what is given back is not put back"
	staleLooks      flaw = "a look tells only what its node knows"
	degradesInPeace flaw = "some answers are marked Degraded without need"
)

var flaws = []flaw{forgetsKilled, forgetsLeft, forgetsOnHeal, lastWriterWins, maximum, countsTwice,
	oneTooMany, oneTooFew, guestsCount, fullAlways, alone, divided, ownWindows, neverEnds, late, fails, keepsRefunds,
	staleLooks, degradesInPeace}

// The oracle is tested as well: it must find nothing wrong with a limiter that does
// what the documentation says, and find each limiter out that does not.

const flawSeeds = 200

// judgeImitation plays a seed on an imitation.
func judgeImitation(t *testing.T, seed uint64, f flaw, a limiter.Algorithm) (wrong []string, s *schedule) {
	s = generate(seed)
	for i := range s.budgets {
		l := &s.budgets[i].lim
		if l.Algorithm = a; a != limiter.TokenBucket {
			l.Burst = 0
		}
	}
	synctest.Test(t, func(*testing.T) {
		wrong, _ = judge(play(s, imitate(s, f)))
	})
	return wrong, s
}

func TestOracleAcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	for seed := range uint64(flawSeeds / 10) {
		for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.TokenBucket} {
			if a == limiter.TokenBucket && seed >= bucketSeeds {
				continue // it remembers every token, and takes its time
			}
			wrong, s := judgeImitation(t, seed, flawless, a)
			require.Empty(t, wrong, "%v", s)
		}
	}
}

func TestOracleFindsWhatIsWrong(t *testing.T) {
	for _, f := range flaws {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(flawSeeds) {
				if wrong, _ := judgeImitation(t, seed, f, limiter.FixedWindow); len(wrong) > 0 {
					t.Logf("seed %d: %s", seed, wrong[0])
					return
				}
			}
			assert.Fail(t, "the oracle did not notice", "%s", f)
		})
	}
}

// So it does of token buckets; but for the size of a side's share, which windows show: in
// trouble a bucket is only held against what all sides could have had.
func TestOracleFindsWhatIsWrongWithBuckets(t *testing.T) {
	if bucketSeeds == 0 {
		t.Skip("an imitation is one goroutine at a time: nothing for the race detector, and many minutes with it")
	}
	for _, f := range []flaw{forgetsOnHeal, lastWriterWins, maximum, countsTwice, divided} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(flawSeeds) {
				if wrong, _ := judgeImitation(t, seed, f, limiter.TokenBucket); len(wrong) > 0 {
					t.Logf("seed %d: %s", seed, wrong[0])
					return
				}
			}
			assert.Fail(t, "the oracle did not notice", "%s", f)
		})
	}
}
