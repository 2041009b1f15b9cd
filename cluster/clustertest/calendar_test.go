package clustertest_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// lines is a log that a test reads while nodes write it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with counts the lines that have a text.
func (l *lines) with(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// A daily quota is one for the whole cluster, from midnight to midnight: also for a node whose wall
// clock is three hours wrong, which says so; also where clocks are put forward or back; and across a
// crash.
func TestDaysOfACluster(t *testing.T) {
	const berlin = "Europe/Berlin"
	zone, err := time.LoadLocation(berlin)
	require.NoError(t, err)
	for _, c := range []struct {
		minuteBefore time.Time
		hours        int // of the day that begins
		wrong        int // whose wall clock is
	}{
		{time.Date(2026, 3, 28, 23, 59, 0, 0, zone), 23, 2},
		{time.Date(2026, 10, 24, 23, 59, 0, 0, zone), 25, 1},
		{time.Date(2026, 12, 31, 23, 59, 0, 0, zone), 24, 0}, // the one whose clock all others follow
	} {
		synctest.Test(t, func(t *testing.T) {
			log, off := &lines{}, time.Until(c.minuteBefore)
			skews := []time.Duration{off, off, off}
			skews[c.wrong] += 3 * time.Hour
			lab := clustertest.New(t, 3, clustertest.Options{Skews: skews, Log: log})
			time.Sleep(10 * time.Second) // all have told what their wall clocks say
			limit := limiter.Daily(30, berlin)
			take := func(node int, key string) limiter.Decision {
				d, err := lab.Node(node).Take(t.Context(), key, limit, 1)
				require.NoError(t, err)
				return d
			}
			spend := func(left time.Duration) { // all that there is in a day is admitted, whoever asks
				for k := range 5 {
					admitted, key := 0, fmt.Sprint("client", k)
					for i := range 60 {
						if take(i%3, key).Allowed {
							admitted++
						}
					}
					assert.Equal(t, 30, admitted)
					for i := range 3 {
						d := take(i, key)
						assert.InDelta(t, left, d.RetryAfter, float64(2*time.Second), "node %d", i)
						assert.InDelta(t, left, d.ResetAfter, float64(2*time.Second), "node %d", i)
					}
				}
			}
			midnight := c.minuteBefore.Add(time.Minute - off)
			spend(time.Until(midnight))
			time.Sleep(time.Until(midnight) + 50*time.Millisecond)
			spend(time.Duration(c.hours) * time.Hour)
			assert.Equal(t, 1, log.with("this node's wall clock is wrong"), "one node says so, once")
			assert.Equal(t, 1, log.with(fmt.Sprintf("node=node%d ahead=3h0m0s", c.wrong)))
			for i := range 3 {
				want := time.Duration(0)
				if i == c.wrong {
					want = -3 * time.Hour
				}
				assert.InDelta(t, want, lab.Node(i).Stats().WallOffset, float64(time.Second), "node %d", i)
			}
			late := lab.Add()
			lab.Settle()
			assert.False(t, take(late, "client0").Allowed, "who joins is in the same day")

			time.Sleep(time.Second) // a flush
			lab.Kill(0)
			lab.Settle()
			time.Sleep(10 * time.Second) // a successor judges the clocks
			for k := range 5 {
				key := fmt.Sprint("client", k)
				assert.False(t, take(1, key).Allowed || take(2, key).Allowed, "what was spent is remembered")
			}
		})
	}
}

// At midnight itself, while nodes may differ by some milliseconds, no more passes than the quotas of
// the two days.
func TestMidnightOfACluster(t *testing.T) {
	for _, lease := range []limiter.Lease{limiter.LeaseOff, limiter.LeaseAlways} {
		t.Run(lease.String(), func(t *testing.T) { midnight(t, lease) })
	}
}

func midnight(t *testing.T, lease limiter.Lease) {
	synctest.Test(t, func(t *testing.T) {
		off := 24*time.Hour - 5*time.Second
		lab := clustertest.New(t, 3, clustertest.Options{Skews: []time.Duration{off, off + 40*time.Millisecond, off - 30*time.Millisecond}})
		limit, admitted := limiter.Daily(40, ""), map[string]int{}
		limit.Lease = lease
		for i := range 8000 {
			for k := range 5 {
				key := fmt.Sprint("client", k)
				d, err := lab.Node(i%3).Take(t.Context(), key, limit, 1)
				require.NoError(t, err)
				if d.Allowed {
					admitted[key]++
				}
			}
			time.Sleep(time.Millisecond)
		}
		for k := range 5 {
			assert.Equal(t, 80, admitted[fmt.Sprint("client", k)], "of the one day and of the other")
		}
	})
}
