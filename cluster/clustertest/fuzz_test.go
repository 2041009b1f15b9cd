package clustertest

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// choices are random numbers that a fuzzer chooses: each is one byte, in the high bits and
// in the low ones, since both are looked at. When the bytes are spent, some others follow:
// with the same number for ever, some choices would never end.
type choices struct {
	bytes []byte
	rest  *rand.PCG
}

// Uint64 is the next number.
func (c *choices) Uint64() uint64 {
	if len(c.bytes) == 0 {
		return c.rest.Uint64()
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return uint64(b) * 0x0101010101010101
}

// scheduleOf makes a schedule from bytes. They begin with the hazards and what the cluster
// lives with: what is the same in all schedules comes last.
func scheduleOf(b []byte) *schedule {
	const parts = 16 // more than there are
	var own [parts]*rand.Rand
	order := []int{9, 8, 6, 5, 1}
	for k, part := range order {
		n := len(b) / (len(order) - k)
		own[part] = rand.New(&choices{b[:n:n], rand.NewPCG(0, uint64(part))})
		b = b[n:]
	}
	return generateBy(1, *hazardsFlag, func(part uint64) *rand.Rand {
		if own[part] == nil {
			return rand.New(rand.NewPCG(0, part))
		}
		return own[part]
	})
}

// FuzzSchedule plays schedules that the fuzzer makes, guided by what they reach.
func FuzzSchedule(f *testing.F) {
	for seed := range uint64(8) {
		var b []byte
		for r := rand.NewPCG(seed, 0); len(b) < 400; {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := scheduleOf(b)
			report(t, s, play(s, newLab(t, s)))
		})
	})
}

// Any bytes make a schedule, all of whose steps are possible.
func TestAnyBytesAreASchedule(t *testing.T) {
	same := func(b byte) []byte {
		all := make([]byte, 300)
		for i := range all {
			all[i] = b
		}
		return all
	}
	for _, b := range [][]byte{nil, {0}, same(0), same(1), same(127), same(255)} {
		s := scheduleOf(b)
		require.NotEmpty(t, s.steps)
		possible(t, s)
	}
	for seed := range uint64(500) {
		possible(t, generate(seed))
	}
}

// possible checks that each step of a schedule can be done when its turn comes.
func possible(t *testing.T, s *schedule) {
	t.Helper()
	up := map[int]bool{}
	for i := range s.nodes {
		up[i] = true
	}
	paused := map[int]bool{}
	for k, x := range s.steps {
		at := []any{"step %d: %v of\n%v", k, x, s}
		switch x.op {
		case opKill, opCrash, opLeave, opPause, opStall:
			require.True(t, up[x.node] && !paused[x.node], at...)
			up[x.node], paused[x.node] = x.op == opPause || x.op == opStall, x.op == opPause
		case opResume:
			require.True(t, paused[x.node], at...)
			paused[x.node] = false
		case opRestart:
			require.False(t, up[x.node], at...)
			up[x.node] = true
		case opStillborn:
			require.False(t, up[x.node], at...)
		case opTogether:
			for _, i := range x.nodes {
				require.False(t, up[i], at...)
				up[i] = true
			}
		case opJoin:
			require.Less(t, len(up), nodesMax, at...)
			up[len(up)] = true
		case opSettle:
			require.Empty(t, len(paused)-count(paused, false), at...)
			require.Positive(t, count(up, true), at...)
		}
	}
}

func count(m map[int]bool, what bool) (n int) {
	for _, v := range m {
		if v == what {
			n++
		}
	}
	return n
}
