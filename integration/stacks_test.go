package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

var stacksFlag = flag.Uint64("weir.stacks", 12, "how many random stacks TestRandomStacks plays")

// stacks is a random policy of stacked rules in front of three nodes in the laboratory, and
// all that became of the requests.
type stacks struct {
	t       *testing.T
	rng     *rand.Rand
	seed    uint64
	cluster *clustertest.Cluster
	rules   []middleware.Rule
	nodes   []http.Handler

	mu   sync.Mutex
	sent []*sentRequest
	asks []looked
}

// sentRequest is one request and what became of it, in the bubble's time.
type sentRequest struct {
	ip, key    string
	cost       int64
	from, to   time.Time
	status     int
	retryAfter time.Duration
}

// looked is what a look at a budget said.
type looked struct {
	rule     int
	subject  string
	from, to time.Time
	left     int64
}

// subject is whose budget of a rule a request spends.
func (q *sentRequest) subject(r *middleware.Rule) string {
	switch r.Name {
	case "ip":
		return q.ip
	case "key":
		return q.key
	}
	return ""
}

// costOf is what a request takes of a rule.
func (q *sentRequest) costOf(r *middleware.Rule) int64 {
	if r.CostOf == nil {
		return 1
	}
	return q.cost
}

func newStacks(t *testing.T, seed uint64) *stacks {
	s := &stacks{t: t, rng: rand.New(rand.NewPCG(seed, 7)), seed: seed, cluster: clustertest.New(t, 3, clustertest.Options{})}
	rule := func(name string, key middleware.Key, least, most int64) {
		r := middleware.Rule{Name: name, Key: key, Limit: limiter.Limit{
			Quota: least + s.rng.Int64N(most-least), Window: 4 * time.Minute, Algorithm: limiter.Algorithm(s.rng.IntN(3)), Lease: limiter.LeaseOff,
		}}
		if s.rng.IntN(3) == 0 {
			r.CostOf = func(r *http.Request) int64 {
				n, _ := strconv.ParseInt(r.Header.Get("X-Cost"), 10, 64)
				return n
			}
		}
		s.rules = append(s.rules, r)
	}
	rule("ip", middleware.ClientIP(), 30, 200)
	rule("key", middleware.Header("X-Api-Key"), 3, 60)
	if s.rng.IntN(2) == 0 {
		rule("all", middleware.Shared(), 100, 400)
	}
	s.rng.Shuffle(len(s.rules), func(i, j int) { s.rules[i], s.rules[j] = s.rules[j], s.rules[i] })
	for i := range 3 {
		m, err := middleware.New(s.cluster.Node(i), middleware.Policy{Default: s.rules})
		require.NoError(t, err)
		s.nodes = append(s.nodes, m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	}
	return s
}

// send sends one request by a node and notes what became of it.
func (s *stacks) send(node int, q *sentRequest) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = q.ip + ":40000"
	r.Header.Set("X-Api-Key", q.key)
	r.Header.Set("X-Cost", strconv.FormatInt(q.cost, 10))
	w := httptest.NewRecorder()
	q.from = time.Now()
	s.mu.Lock()
	s.sent = append(s.sent, q)
	s.mu.Unlock()
	s.nodes[node].ServeHTTP(w, r)
	q.to, q.status = time.Now(), w.Code
	if after := w.Header().Get("Retry-After"); after != "" {
		n, err := strconv.ParseInt(after, 10, 64)
		require.NoError(s.t, err)
		q.retryAfter = time.Duration(n) * time.Second
	}
}

// look looks at some budget from some node.
func (s *stacks) look(node, rule int, subject string) {
	r := &s.rules[rule]
	at := looked{rule: rule, subject: subject, from: time.Now()}
	d, err := s.cluster.Node(node).Take(s.t.Context(), limiter.Key(r.Name, subject), r.Limit, 0)
	require.NoError(s.t, err)
	at.to, at.left = time.Now(), d.Remaining
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks = append(s.asks, at)
}

// play has honest clients, and some that flood with few keys, at once over all nodes.
func (s *stacks) play() {
	var wg sync.WaitGroup
	for burst := range 6 {
		flood := fmt.Sprint("flood", s.rng.IntN(2))
		for i := range 40 + s.rng.IntN(120) {
			q := &sentRequest{ip: fmt.Sprint("192.0.2.", s.rng.IntN(3)), key: flood, cost: 1 + s.rng.Int64N(3)}
			if i%5 == 0 {
				q.key = fmt.Sprint("honest", burst, i)
			}
			node, after := s.rng.IntN(3), time.Duration(s.rng.Int64N(int64(3*time.Millisecond)))
			wg.Go(func() {
				time.Sleep(after)
				s.send(node, q)
			})
			if i%4 == 0 {
				rule := s.rng.IntN(len(s.rules))
				wg.Go(func() {
					time.Sleep(after / 2)
					s.look(node, rule, q.subject(&s.rules[rule]))
				})
			}
		}
		if s.rng.IntN(2) == 0 {
			wg.Wait()
		}
		time.Sleep(time.Duration(s.rng.Int64N(int64(50 * time.Millisecond))))
	}
	wg.Wait()
}

// passed is how much of a budget was spent by requests that passed and began before an
// instant; flying, by any that were under way in a time.
func (s *stacks) passed(rule int, subject string, before time.Time) (sum int64) {
	r := &s.rules[rule]
	for _, q := range s.sent {
		if q.status == http.StatusOK && q.subject(r) == subject && q.from.Before(before) {
			sum += q.costOf(r)
		}
	}
	return sum
}

func (s *stacks) flying(rule int, subject string, from, to time.Time) (sum int64) {
	r := &s.rules[rule]
	for _, q := range s.sent {
		if q.status != http.StatusOK && q.subject(r) == subject && !q.from.After(to) && !q.to.Before(from) {
			sum += q.costOf(r)
		}
	}
	return sum
}

// refill is what a token bucket gains in the time that a play takes, at most.
const refill = 3

// judge checks all that must hold.
func (s *stacks) judge() (denials, long int) {
	fault := func(format string, args ...any) {
		s.t.Helper()
		s.t.Errorf("seed %d: "+format, append([]any{s.seed}, args...)...)
	}
	for _, at := range s.asks {
		r := &s.rules[at.rule]
		least := r.Limit.Quota - s.passed(at.rule, at.subject, at.to.Add(1)) - s.flying(at.rule, at.subject, at.from, at.to)
		if at.left < least {
			fault("%d left of %s %q, although no more than %d of %d were spent or under way", at.left, r.Name, at.subject, r.Limit.Quota-least, r.Limit.Quota)
		}
	}
	for _, q := range s.sent {
		if q.status == http.StatusOK {
			continue
		}
		require.Equal(s.t, http.StatusTooManyRequests, q.status)
		if denials++; q.retryAfter > time.Second {
			long++
		}
		// Whoever is denied is so by what was spent, never by what others had for a moment.
		full := false
		for i := range s.rules {
			r := &s.rules[i]
			full = full || s.passed(i, q.subject(r), q.to.Add(1))+q.costOf(r) > r.Limit.Quota
		}
		if !full {
			fault("%q at %q was denied for %v, although each of its budgets had room for what passed", q.key, q.ip, q.retryAfter)
		}
	}
	for i := range s.rules {
		r := &s.rules[i]
		seen := map[string]bool{}
		for _, q := range s.sent {
			if subject := q.subject(r); !seen[subject] {
				seen[subject] = true
				spent := s.passed(i, subject, time.Now().Add(time.Hour))
				if spent > r.Limit.Quota+refill {
					fault("%d of %d passed, of %s %q", spent, r.Limit.Quota, r.Name, subject)
				}
				d, err := s.cluster.Node(s.rng.IntN(3)).Take(s.t.Context(), limiter.Key(r.Name, subject), r.Limit, 0)
				require.NoError(s.t, err)
				if left := r.Limit.Quota - spent; d.Remaining < left || d.Remaining > left+refill {
					fault("%d left of %s %q in the end, and %d of %d were spent", d.Remaining, r.Name, subject, spent, r.Limit.Quota)
				}
			}
		}
	}
	return denials, long
}

// obey waits as long as some who were denied were told to, alone: then they pass.
func (s *stacks) obey() {
	for range 3 {
		q := &sentRequest{ip: fmt.Sprint("192.0.2.", s.rng.IntN(3)), key: fmt.Sprint("flood", s.rng.IntN(2)), cost: 1 + s.rng.Int64N(3)}
		s.send(s.rng.IntN(3), q)
		if q.status == http.StatusOK {
			continue
		}
		time.Sleep(q.retryAfter)
		again := &sentRequest{ip: q.ip, key: q.key, cost: q.cost}
		s.send(s.rng.IntN(3), again)
		if again.status != http.StatusOK {
			for i := range s.rules {
				r := &s.rules[i]
				s.t.Logf("%s: %d per %v, %v, cost %d", r.Name, r.Limit.Quota, r.Limit.Window, r.Limit.Algorithm, again.costOf(r))
			}
			s.t.Errorf("seed %d: %q at %q waited %v as told, and then was told to wait %v", s.seed, q.key, q.ip, q.retryAfter, again.retryAfter)
		}
	}
}

// Random stacks of rules on three nodes, with requests under way together: what a budget
// shows, who is denied, and what they are told follows from the requests that passed.
func TestRandomStacks(t *testing.T) {
	sent, denials, long, looks := 0, 0, 0, 0
	for seed := range *stacksFlag {
		synctest.Test(t, func(t *testing.T) {
			s := newStacks(t, seed)
			s.play()
			d, l := s.judge()
			sent, looks, denials, long = sent+len(s.sent), looks+len(s.asks), denials+d, long+l
			s.obey()
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d requests in %d stacks, %d looks; %d were denied, %d of them for longer than a second", sent, *stacksFlag, looks, denials, long)
	require.Positive(t, long)
}

// A client floods with a key that is spent, with more requests under way than its address may
// send at all. Its neighbours do not notice.
func TestSpentKeyHarmsNoNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stacks{t: t, rng: rand.New(rand.NewPCG(1, 1)), cluster: clustertest.New(t, 3, clustertest.Options{})}
		s.rules = []middleware.Rule{
			{Name: "ip", Limit: limiter.Per(100, time.Hour)},
			{Name: "key", Limit: limiter.Per(50, time.Hour), Key: middleware.Header("X-Api-Key")},
		}
		for i := range 3 {
			m, err := middleware.New(s.cluster.Node(i), middleware.Policy{Default: s.rules})
			require.NoError(t, err)
			s.nodes = append(s.nodes, m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		}
		for i := range 50 {
			s.send(i%3, &sentRequest{ip: fmt.Sprint("203.0.113.", i), key: "spent"})
		}
		var wg sync.WaitGroup
		honest := []*sentRequest{}
		for i := range 120 {
			wg.Go(func() {
				for range 20 {
					s.send(i%3, &sentRequest{ip: "192.0.2.1", key: "spent"})
				}
			})
		}
		for i := range 20 {
			q := &sentRequest{ip: "192.0.2.1", key: fmt.Sprint("honest", i)}
			honest = append(honest, q)
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 150 * time.Microsecond)
				s.send(i%3, q)
			})
		}
		wg.Wait()
		for i, q := range honest {
			require.Equal(t, http.StatusOK, q.status, "%d, told to wait %v", i, q.retryAfter)
			require.Less(t, q.to.Sub(q.from), 50*time.Millisecond)
		}
		s.judge()
	})
}
