package simnet

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The queue against a plain slice.
func TestQueueAgainstASlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q queue[int]
	var plain []int
	for i := range 20_000 {
		if rng.IntN(100) < 50+30*(i/5000%2) { // grows and shrinks in turn
			q.push(i)
			plain = append(plain, i)
		} else if len(plain) > 0 {
			require.Equal(t, plain[0], *q.first())
			require.Equal(t, plain[0], q.pop())
			plain = plain[1:]
		}
		require.Equal(t, len(plain), q.len())
	}
	assert.True(t, slices.Equal(plain, q.all()))
}

// The schedule against a stable sort by time.
func TestScheduleRunsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type entry struct {
			at time.Duration
			id int
		}
		rng := rand.New(rand.NewPCG(2, 2))
		var mu sync.Mutex
		var s schedule
		s.init(&mu)
		var want, got []entry
		mu.Lock()
		for id := range 1000 {
			e := entry{time.Duration(1+rng.IntN(50)) * time.Second, id}
			want = append(want, e)
			s.at(e.at, func() { got = append(got, entry{s.now(), e.id}) })
		}
		mu.Unlock()
		time.Sleep(time.Minute)
		slices.SortStableFunc(want, func(a, b entry) int { return int(a.at - b.at) })
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, want, got)
	})
}

// What an event schedules is run in its turn, and a time in the past at once.
func TestScheduleFromWithinAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var s schedule
		s.init(&mu)
		var got []time.Duration
		note := func() { got = append(got, s.now()) }
		mu.Lock()
		s.after(time.Second, func() {
			s.after(time.Second, note)
			s.after(0, note)
			s.at(0, note)
		})
		s.after(3*time.Second, note)
		mu.Unlock()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []time.Duration{time.Second, time.Second, 2 * time.Second, 3 * time.Second}, got)
	})
}
