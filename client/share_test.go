package client

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestManyClientsShareABudget has clients that know nothing of each other spend from
// one budget for five windows. What they are refused, and what they leave, are counts
// in virtual time; the way in which requests overtake each other is random.
func TestManyClientsShareABudget(t *testing.T) {
	for _, tc := range []struct {
		clients int
		quota   int64
	}{{1, 100}, {2, 100}, {8, 100}, {8, 1000}, {64, 640}, {64, 1000}, {64, 6400}} {
		synctest.Test(t, func(t *testing.T) {
			server := &window{quota: tc.quota, period: time.Minute, latency: func(int) time.Duration {
				return time.Millisecond + rand.N(10*time.Millisecond)
			}}
			stop := time.Now().Add(5*time.Minute - time.Second)
			var wg sync.WaitGroup
			for range tc.clients {
				wg.Go(func() {
					tr := &Transport{Base: server, Pace: PaceSpread, Retry: Retry{Total: time.Hour}}
					for time.Now().Before(stop) {
						assert.NoError(t, storm1(t, tr))
					}
				})
			}
			wg.Wait()
			t.Logf("%d clients, %d a minute: %d refused, %d admitted in 5 minutes", tc.clients, tc.quota, server.denied, len(server.admitted))
			// Without the share it is 63 in each window for 64 clients.
			assert.LessOrEqual(t, server.denied, tc.clients, "%d clients, %d", tc.clients, tc.quota)
			assert.GreaterOrEqual(t, float64(len(server.admitted)), 0.97*5*float64(tc.quota-1), "%d clients, %d", tc.clients, tc.quota)
		})
	}
}

func TestShare(t *testing.T) {
	var s share
	s.measure(1, 99)
	assert.False(t, s.shared(), "one report tells nothing")
	s.measure(3, 97)
	assert.Zero(t, s.others, "what went was ours")
	s.measure(4, 87)
	assert.InDelta(t, 4.5, s.others, 1e-9, "9, and 0 before")
	s.measure(5, 90)
	assert.InDelta(t, 3, s.others, 1e-9, "what refills is nobody's")
	s.sending(t0, t0.Add(-1))
	s.measure(9, 0)
	assert.InDelta(t, 3, s.others, 1e-9, "who did not wait learns nothing")
	s.limit = 250
	assert.EqualValues(t, 2, s.reserve())
	assert.Equal(t, 4*time.Second, s.scale(time.Second))
	assert.Equal(t, farthest, s.scale(1<<62), "no overflow")

	s.began, s.sent = t0, 6
	s.over(t0.Add(time.Minute))
	assert.False(t, s.resume.Before(t0.Add(time.Minute)))
	assert.True(t, s.resume.Before(t0.Add(70*time.Second)), "within its own gap")
}
