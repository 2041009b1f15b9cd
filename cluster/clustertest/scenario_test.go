package clustertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// What happens in each failure that has a name. Node 0 is the owner of the key in all
// of them.
type scenario struct {
	name  string
	nodes int
	opt   Options
	play  func(t *testing.T, s *stage)
}

// stage is where a scenario plays.
type stage struct {
	*Cluster
	key   string
	limit limiter.Limit
	held  time.Duration // for how long answers are held back that then count as round trips
}

// half of the quota of every scenario is spent at the start.
const half = 50

var scenarios = []scenario{
	{name: "an owner that answers late", nodes: 3, play: func(t *testing.T, s *stage) {
		for i := 1; i < 3; i++ {
			s.Net.Link(name(0), name(i), time.Second, 0, 0)
			s.Net.Link(name(i), name(0), time.Second, 0, 0)
		}
		s.inTime(t, 200, 1, 2)
		s.slowOnes(t, 100, 10, 1, 2) // after the first, callers do not wait
		s.Net.Link(name(0), name(1), 0, 0, 0)
		s.Net.Link(name(1), name(0), 0, 0, 0)
		s.Net.Link(name(0), name(2), 0, 0, 0)
		s.Net.Link(name(2), name(0), 0, 0, 0)
	}},
	{name: "a dead link that gossip does not notice", nodes: 4, play: func(t *testing.T, s *stage) {
		s.Cut(0, 3)
		s.Cut(3, 0)
		sum := s.inTime(t, 3*half, 3) + s.inTime(t, half, 0, 1, 2)
		assert.Equal(t, half, sum, "relayed requests are decided by the owner")
		time.Sleep(time.Minute)
		require.True(t, s.Whole(), "nobody is taken for dead")
	}},
	{name: "an owner that is heard and does not hear", nodes: 4, play: func(t *testing.T, s *stage) {
		for i := 1; i < 4; i++ {
			s.Cut(i, 0)
		}
		sum := s.inTime(t, 2*half, 1, 2, 3)
		time.Sleep(30 * time.Second)
		sum += s.inTime(t, 2*half, 1, 2, 3)
		assert.Equal(t, half, sum, "the others have one budget")
		s.Heal()
	}},
	{name: "an owner that hears and is not heard", nodes: 4, play: func(t *testing.T, s *stage) {
		for i := 1; i < 4; i++ {
			s.Cut(0, i)
		}
		s.inTime(t, 2*half, 1, 2, 3)
		time.Sleep(30 * time.Second)
		s.inTime(t, 2*half, 1, 2, 3)
		s.Heal()
	}},
	{name: "a crash without a reset", nodes: 4, play: func(t *testing.T, s *stage) {
		s.Crash(0)
		sum := s.inTime(t, 1, 1) + s.inTime(t, 1, 2) + s.inTime(t, 1, 3) // each finds out by itself
		sum += s.slowOnes(t, half, 0, 1, 2, 3)
		assert.Equal(t, half, sum, "nothing was forgotten")
	}},
	{name: "a kill of the owner under load", nodes: 4, play: func(t *testing.T, s *stage) {
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for i := 1; i < 4; i++ {
			wg.Go(func() {
				for range 100 {
					s.take(t, i)
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		s.Kill(0)
		wg.Wait()
	}},
	{name: "a crash of the owner and its successor", nodes: 5, opt: Options{Config: replicas(2)}, play: func(t *testing.T, s *stage) {
		next := s.successor()
		s.Crash(0)
		s.Crash(next)
		sum := 0
		for _, i := range s.Running() {
			sum += s.inTime(t, half, i)
		}
		time.Sleep(20 * time.Second)
		sum += s.inTime(t, half, s.Running()...)
		assert.Equal(t, half, sum, "the second successor held a copy")
	}},
	{name: "a restart at once under the same name", nodes: 3, play: func(t *testing.T, s *stage) {
		s.Kill(0)
		s.Restart(0)
		sum := s.inTime(t, 2*half)
		s.Settle()
		sum += s.inTime(t, half)
		assert.Equal(t, half, sum)
	}},
	{name: "a restart under the same name at another address", nodes: 3, play: func(t *testing.T, s *stage) {
		s.Crash(0)
		s.Move(0)
		sum := s.inTime(t, 2*half)
		s.Settle()
		sum += s.inTime(t, half)
		assert.Equal(t, half, sum)
	}},
	{name: "clocks minutes apart from the start", nodes: 3,
		opt: Options{Skews: []time.Duration{0, 5 * time.Minute, -5 * time.Minute}}, play: func(t *testing.T, s *stage) {
			assert.Equal(t, half, s.inTime(t, 2*half))
			s.sameReset(t)
		}},
	{name: "a stopped process", nodes: 3, play: func(t *testing.T, s *stage) {
		s.Pause(0)
		sum := s.inTime(t, 30, 1, 2)
		time.Sleep(10 * time.Second)
		sum += s.inTime(t, 10, 1, 2)
		s.Resume(0)
		sum += s.inTime(t, 2*half) // it believes that it still owns the key
		assert.Equal(t, half, sum, "its stale ownership did no harm")
	}},
	{name: "seeds that are all down at the start", nodes: 3, play: func(t *testing.T, s *stage) {
		for i := range 3 {
			s.Crash(i)
		}
		lone := s.Add()
		require.False(t, s.Node(lone).Ready(), "alone it asks for no requests yet, and serves those that come")
		s.inTime(t, half, lone)
		for i := range 3 {
			s.Restart(i)
		}
		s.Settle()
	}},
	{name: "a leave while cut off", nodes: 4, play: func(t *testing.T, s *stage) {
		s.Split([]int{0}, []int{1, 2, 3})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.Error(t, s.LeaveWithin(ctx, 0), "what nobody could take over is told")
		assert.Less(t, time.Since(start), 5100*time.Millisecond)
		s.inTime(t, half, 1, 2, 3)
	}},
	{name: "views that differ", nodes: 4, play: func(t *testing.T, s *stage) {
		// Node 3 loses two of the others, which still see each other and node 1.
		s.Cut(0, 3)
		s.Cut(3, 0)
		s.Cut(2, 3)
		s.Cut(3, 2)
		for range 20 {
			s.inTime(t, 4)
			time.Sleep(time.Second)
		}
	}},
}

func TestScenarios(t *testing.T) {
	for _, x := range scenarios {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{limit: limiter.Per(2*half, 24*time.Hour)}
				s.key = ownedBy(t, x.nodes, 0, s.limit)
				s.Cluster = New(t, x.nodes, x.opt)
				require.Equal(t, half, s.inTime(t, half))
				time.Sleep(300 * time.Millisecond) // flushed
				x.play(t, s)
				s.Heal()
				s.Settle()
				time.Sleep(5 * time.Second)
				s.agree(t)
			})
		})
	}
}

func replicas(n int) func(int, *cluster.Config) {
	return func(_ int, c *cluster.Config) { c.Replicas = n }
}

// take makes one take, which must not fail and must be in time.
func (s *stage) take(t *testing.T, node int) (d limiter.Decision, took time.Duration) {
	start := time.Now()
	d, err := s.Node(node).Take(t.Context(), s.key, s.limit, 1)
	took = time.Since(start)
	assert.NoError(t, err)
	assert.LessOrEqual(t, took, s.most()+grain)
	return d, took
}

// inTime makes takes of 1, in turn on some nodes, and counts what is admitted.
func (s *stage) inTime(t *testing.T, takes int, nodes ...int) (admitted int) {
	return s.slowOnes(t, takes, takes, nodes...)
}

// slowOnes is inTime where at most some takes may have waited for somebody in vain.
func (s *stage) slowOnes(t *testing.T, takes, slow int, nodes ...int) (admitted int) {
	if len(nodes) == 0 {
		nodes = s.Running()
	}
	for k := range takes {
		d, took := s.take(t, nodes[k%len(nodes)])
		if d.Allowed {
			admitted++
		}
		if took > hopTimeout {
			slow--
		}
	}
	assert.GreaterOrEqual(t, slow, 0, "calls that waited")
	return admitted
}

// agree checks that all nodes give the same answer.
func (s *stage) agree(t *testing.T) {
	seen := map[string][]int{}
	for _, i := range s.Running() {
		d, err := s.Node(i).Take(t.Context(), s.key, s.limit, 0)
		require.NoError(t, err)
		answer := fmt.Sprintf("%d remain, degraded %v", d.Remaining, d.Degraded)
		seen[answer] = append(seen[answer], i)
	}
	assert.Len(t, seen, 1, "answers by node: %v", seen)
}

// sameReset checks that all nodes have the same idea of when the window ends.
func (s *stage) sameReset(t *testing.T) {
	var ends []time.Time
	for _, i := range s.Running() {
		d, _ := s.take(t, i)
		ends = append(ends, time.Now().Add(d.ResetAfter))
	}
	for _, e := range ends {
		assert.WithinDuration(t, ends[0], e, clockError)
	}
}

// successor is who would own the key without node 0.
func (s *stage) successor() int { return holderOf(s.Len(), 1, s.key, s.limit) }

// most is how long a take may take where no round trip is long but those that were held back:
// of who holds, and of a successor.
func (s *stage) most() time.Duration {
	cfg := cluster.Config{Replicas: 1}
	if s.opt.Config != nil {
		s.opt.Config(0, &cfg)
	}
	return callMax + time.Duration(cfg.Replicas-1)*callEach + time.Duration(cfg.Replicas+1)*s.held
}
