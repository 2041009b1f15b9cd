package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// over is a limiter as a node of a cluster is when the request's context is over.
func over() *script {
	s := &script{}
	s.answer = func(asked) (limiter.Decision, error) { return limiter.Decision{}, context.DeadlineExceeded }
	return s
}

// A request whose context is over never reaches the handler, whatever its rules say of
// outages: else a client that makes its requests late would pass every limit.
func TestContextThatIsOver(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	deadline, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	child, stopChild := context.WithTimeout(deadline, time.Hour)
	defer stopChild()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		l      func() middleware.Limiter
		outage middleware.Outage
		status int
	}{
		{"deadline, local", deadline, nil, middleware.OutageLocal, 499},
		{"deadline, open", deadline, nil, middleware.OutageOpen, 499},
		{"deadline, closed", deadline, nil, middleware.OutageClosed, 503},
		{"canceled, local", canceled, nil, middleware.OutageLocal, 499},
		{"canceled, open", canceled, nil, middleware.OutageOpen, 499},
		{"canceled, closed", canceled, nil, middleware.OutageClosed, 499},
		{"a parent's deadline", child, nil, middleware.OutageLocal, 499},
		{"deadline, another limiter", deadline, func() middleware.Limiter { return over() }, middleware.OutageLocal, 499},
		{"deadline, another limiter, open", deadline, func() middleware.Limiter { return over() }, middleware.OutageOpen, 499},
		{"deadline, and an error of its own", deadline, func() middleware.Limiter { return always(limiter.Decision{}, errors.New("x")) }, middleware.OutageOpen, 499},
		{"in time, the limiter's own deadline, open", t.Context(), func() middleware.Limiter { return over() }, middleware.OutageOpen, 418},
		{"in time, the limiter's own deadline, closed", t.Context(), func() middleware.Limiter { return over() }, middleware.OutageClosed, 503},
	} {
		for _, stacked := range []bool{false, true} {
			p := middleware.Policy{Default: []middleware.Rule{perMinute("a", 2)}}
			if stacked {
				p.Always = []middleware.Rule{perMinute("b", 1000)}
			}
			for _, r := range [][]middleware.Rule{p.Default, p.Always} {
				for i := range r {
					r[i].Outage = c.outage
				}
			}
			var l middleware.Limiter = limiter.NewLocal(limiter.Config{})
			if c.l != nil {
				l = c.l()
			}
			m, err := middleware.New(l, p)
			require.NoError(t, err)
			handled := 0
			h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { handled++; w.WriteHeader(418) }))
			for range 20 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(c.ctx))
				require.Equal(t, c.status, w.Code, c.name)
			}
			assert.Equal(t, c.status == 418, handled > 0, c.name)
			if c.status != 418 {
				assert.Zero(t, m.Stats().FailedOpen, c.name)
			}
		}
	}
}

// Where the limiter gives no decision at all, this process decides by the same policy.
func TestOutageLocalLimits(t *testing.T) {
	gone := always(limiter.Decision{}, errors.New("the node is closed"))
	count := func(h http.Handler, n int, edit ...func(*http.Request)) (passed int) {
		for range n {
			w := get(h, "/", edit...)
			if w.Code == http.StatusTeapot {
				passed++
			}
			assert.Equal(t, "true", w.Header().Get("X-RateLimit-Degraded"))
			assert.NotEmpty(t, w.Header().Get("X-RateLimit-Remaining"))
		}
		return passed
	}
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		p := middleware.Policy{Default: []middleware.Rule{{Name: "a", Limit: limiter.Limit{Quota: 5, Window: 24 * time.Hour, Algorithm: a}}}}
		h := wrap(t, gone, p, teapot)
		assert.Equal(t, 5, count(h, 20), a)
		assert.Equal(t, 5, count(h, 20, from("198.51.100.1:1")), "%v: each subject has its own", a)
	}

	stack := daily(5)
	stack.Always = []middleware.Rule{{Name: "all", Key: middleware.Shared(), Limit: limiter.Per(7, 24*time.Hour)}}
	h := wrap(t, gone, stack, teapot)
	assert.Equal(t, 5, count(h, 20))
	assert.Equal(t, 2, count(h, 20, from("198.51.100.1:1")), "what was denied before took nothing of the others' budget")

	costly := daily(5)
	costly.Default[0].Cost = 2
	assert.Equal(t, 2, count(wrap(t, gone, costly, teapot), 20))

	failures := daily(5)
	failures.Default[0].Count = middleware.CountFailures
	ok := wrap(t, gone, failures, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range 20 {
		assert.Equal(t, http.StatusOK, get(ok, "/").Code, "what does not count is given back there as well")
	}

	// The same where only some questions get no answer, and when answers come again.
	flaky := limiter.NewLocal(limiter.Config{})
	var down atomic.Bool
	m, err := middleware.New(failing{flaky, &down}, daily(5))
	require.NoError(t, err)
	h = m.Wrap(teapot)
	for i := range 5 {
		assert.Equal(t, http.StatusTeapot, get(h, "/").Code, i)
	}
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/").Code)
	down.Store(true)
	assert.Equal(t, 5, count(h, 20), "this process has not counted yet")
	assert.Equal(t, int64(20), m.Stats().Local)
	down.Store(false)
	w := get(h, "/")
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Empty(t, w.Header().Get("X-RateLimit-Degraded"))

	// Rules that say otherwise are not decided here.
	open := daily(5)
	open.Default[0].Outage = middleware.OutageOpen
	h = wrap(t, gone, open, teapot)
	for range 20 {
		assert.Equal(t, http.StatusTeapot, get(h, "/").Code)
	}
	open.Default[0].Outage = middleware.OutageClosed
	assert.Equal(t, http.StatusServiceUnavailable, get(wrap(t, gone, open, teapot), "/").Code)
}

// failing is a limiter that gives no decision while down.
type failing struct {
	*limiter.Local
	down *atomic.Bool
}

func (f failing) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	if f.down.Load() {
		return limiter.Decision{}, errors.New("down")
	}
	return f.Local.Take(ctx, key, l, cost)
}

// The headers show the rule that admits the fewest further requests like this one.
func TestStackedShowsTheFewest(t *testing.T) {
	for _, c := range []struct {
		quota, left, cost [3]int64
		shown             int
	}{
		{[3]int64{100, 5, 1000}, [3]int64{29, 4, 900}, [3]int64{1, 1, 1}, 1}, // 29 %, 80 %, 90 %
		{[3]int64{100, 5, 1000}, [3]int64{3, 4, 900}, [3]int64{1, 1, 1}, 0},
		{[3]int64{100, 5, 1000}, [3]int64{29, 4, 900}, [3]int64{10, 1, 1}, 0},    // 2, 4, 900
		{[3]int64{100, 5, 1000}, [3]int64{99, 4, 900}, [3]int64{1, 1, 300}, 2},   // 99, 4, 3
		{[3]int64{100, 50, 1000}, [3]int64{29, 28, 30}, [3]int64{10, 10, 10}, 0}, // 2, 2, 3: the least in proportion
		{[3]int64{100, 5, 1000}, [3]int64{0, 0, 0}, [3]int64{1, 1, 1}, 0},        // all alike: the first
		{[3]int64{100, 5, 1000}, [3]int64{9, 4, 5}, [3]int64{1, 0, 1}, 2},        // what costs nothing is admitted for ever
		{[3]int64{100, 5, 1000}, [3]int64{50, 5, 6}, [3]int64{1, 1, 1}, 1},
	} {
		by, p := map[string]limiter.Decision{}, middleware.Policy{}
		for i := range 3 {
			r := perMinute(fmt.Sprint(i), c.quota[i])
			r.CostOf = func(*http.Request) int64 { return c.cost[i] }
			p.Default = append(p.Default, r)
			by[r.Name] = left(c.left[i])
		}
		w := get(wrap(t, answers(by), p, teapot), "/")
		assert.Equal(t, fmt.Sprint(c.quota[c.shown]), w.Header().Get("X-RateLimit-Limit"), "%+v", c)
		assert.Equal(t, fmt.Sprint(c.left[c.shown]), w.Header().Get("X-RateLimit-Remaining"), "%+v", c)
	}
}

// A request without a key is refused, and still spends what its other rules ask for.
func TestAbsentInAStack(t *testing.T) {
	key := func(a middleware.Absent) middleware.Rule {
		r := middleware.Rule{Name: "key", Limit: limiter.Per(3, 24*time.Hour), Key: middleware.Header("X-Api-Key"), Absent: a}
		return r
	}
	ip := middleware.Rule{Name: "ip", Limit: limiter.Per(5, 24*time.Hour)}
	shadow := ip
	shadow.Name, shadow.Shadow = "shadow", true
	for _, c := range []struct {
		name    string
		rules   []middleware.Rule
		header  []string
		want    map[int]int // answers to 10 requests, by status
		headers bool        // on the last one
	}{
		{"deny, before", []middleware.Rule{key(middleware.AbsentDeny), ip}, nil, map[int]int{403: 5, 429: 5}, true},
		{"deny, after", []middleware.Rule{ip, key(middleware.AbsentDeny)}, nil, map[int]int{403: 5, 429: 5}, true},
		{"deny, alone", []middleware.Rule{key(middleware.AbsentDeny)}, nil, map[int]int{403: 10}, false},
		{"deny, with a key", []middleware.Rule{key(middleware.AbsentDeny), ip}, []string{"k"}, map[int]int{418: 3, 429: 7}, true},
		{"deny, with a shadow", []middleware.Rule{key(middleware.AbsentDeny), shadow}, nil, map[int]int{403: 10}, false},
		{"deny, an empty key", []middleware.Rule{key(middleware.AbsentDeny), ip}, []string{""}, map[int]int{403: 5, 429: 5}, true},
		{"skip, stacked", []middleware.Rule{key(middleware.AbsentSkip), ip}, nil, map[int]int{418: 5, 429: 5}, true},
		{"skip, with a key", []middleware.Rule{key(middleware.AbsentSkip), ip}, []string{"k"}, map[int]int{418: 3, 429: 7}, true},
		{"skip, alone", []middleware.Rule{key(middleware.AbsentSkip)}, nil, map[int]int{418: 10}, false},
		{"shared, stacked", []middleware.Rule{key(middleware.AbsentShared), ip}, nil, map[int]int{418: 3, 429: 7}, true},
	} {
		h := wrap(t, limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: c.rules}, teapot)
		got, last := map[int]int{}, http.Header{}
		for range 10 {
			w := get(h, "/", set("X-Api-Key", c.header...))
			got[w.Code]++
			if last = w.Header(); w.Code == http.StatusForbidden {
				assert.Empty(t, last.Get("X-RateLimit-Limit"), c.name)
				assert.Empty(t, last.Get("Retry-After"), c.name)
			}
		}
		assert.Equal(t, c.want, got, c.name)
		assert.Equal(t, c.headers, last.Get("X-RateLimit-Limit") != "", c.name)
	}
}

// A responder that does not say the status answers with the refusal's.
func TestRespondersThatForgetTheStatus(t *testing.T) {
	for name, c := range map[string]struct {
		respond func(w http.ResponseWriter, r *http.Request, v middleware.Refusal)
		status  int
	}{
		"nothing":      {func(http.ResponseWriter, *http.Request, middleware.Refusal) {}, 429},
		"write":        {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { _, _ = w.Write([]byte("x")) }, 429},
		"write string": {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { _, _ = io.WriteString(w, "x") }, 429},
		"encode": {func(w http.ResponseWriter, _ *http.Request, v middleware.Refusal) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		}, 429},
		"flush": {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { w.(http.Flusher).Flush() }, 429},
		"flush by controller": {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) {
			_ = http.NewResponseController(w).Flush()
		}, 429},
		"copy":    {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { _, _ = io.CopyN(w, zeros{}, 10) }, 429},
		"its own": {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { w.WriteHeader(503) }, 503},
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ middleware.Refusal) {
			http.Redirect(w, r, "/slow", http.StatusSeeOther)
		}, 303},
		"says so":     {func(w http.ResponseWriter, _ *http.Request, v middleware.Refusal) { w.WriteHeader(v.Status) }, 429},
		"early hints": {func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { w.WriteHeader(103) }, 429},
	} {
		p := daily(1)
		p.Respond = c.respond
		s := serve(t, p, teapot)
		send := func() *http.Response {
			r, err := http.NewRequest("GET", s.URL, nil)
			require.NoError(t, err)
			a, err := http.DefaultTransport.RoundTrip(r)
			require.NoError(t, err)
			a.Body.Close()
			return a
		}
		require.Equal(t, http.StatusTeapot, send().StatusCode)
		a := send()
		assert.Equal(t, c.status, a.StatusCode, name)
		assert.NotEmpty(t, a.Header.Get("Retry-After"), name)
	}
	p := by(middleware.Header("X"))
	p.Default[0].Absent = middleware.AbsentDeny
	p.Respond = func(w http.ResponseWriter, _ *http.Request, _ middleware.Refusal) { _, _ = w.Write([]byte("who?")) }
	assert.Equal(t, http.StatusForbidden, get(wrap(t, &script{}, p, teapot), "/").Code)
	p.Default[0].Outage, p.Default[0].Absent = middleware.OutageClosed, middleware.AbsentShared
	assert.Equal(t, http.StatusServiceUnavailable, get(wrap(t, always(degraded, nil), p, teapot), "/").Code)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// trials is a limiter that can be told how to answer trials.
type trials struct {
	script
	kept, refunded []string
}

func (s *trials) Hold(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	d, err := s.Take(ctx, key, l, cost)
	if d.Allowed {
		d.Window = 3
	}
	return d, err
}

func (s *trials) Keep(key string, _ limiter.Limit, _ int64, w limiter.Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, fmt.Sprint(ruleOf(key), w))
}

func (s *trials) Refund(_ context.Context, key string, _ limiter.Limit, _ int64, w limiter.Window) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refunded = append(s.refunded, fmt.Sprint(ruleOf(key), w))
	return nil
}

// A denial that may not last is asked about again, and no wait is made of it.
func TestTentativeDenials(t *testing.T) {
	tentative := limiter.Decision{Tentative: true, ResetAfter: time.Hour, RetryAfter: 10 * time.Millisecond}
	for _, c := range []struct {
		name           string
		tries          int // denied tentatively so often, then by last
		last           limiter.Decision
		status         int
		retryAfter     string
		kept, refunded int
	}{
		{"admitted at once", 0, left(5), 418, "", 2, 0},
		{"admitted at the second try", 1, left(5), 418, "", 2, 1},
		{"admitted at the last try", 6, left(5), 418, "", 2, 6},
		{"denied for good at once", 0, denied, 429, "42", 0, 1},
		{"denied for good in the end", 3, denied, 429, "42", 0, 3},
		{"never clear", 100, left(5), 429, "1", 0, 7},
	} {
		synctest.Test(t, func(t *testing.T) {
			asks := 0
			s := &trials{}
			s.answer = func(q asked) (limiter.Decision, error) {
				if ruleOf(q.key) == "narrow" {
					return left(9), nil
				}
				if asks++; asks <= c.tries {
					return tentative, nil
				}
				return c.last, nil
			}
			p := middleware.Policy{Default: []middleware.Rule{perMinute("narrow", 10), perMinute("wide", 100)}}
			start := time.Now()
			w := get(wrap(t, s, p, teapot), "/")
			assert.Equal(t, c.status, w.Code, c.name)
			assert.Equal(t, c.retryAfter, w.Header().Get("Retry-After"), c.name)
			assert.Len(t, s.kept, c.kept, c.name)
			assert.LessOrEqual(t, len(s.refunded), max(1, c.refunded), c.name)
			assert.Less(t, time.Since(start), 100*time.Millisecond, c.name)
		})
	}
}

// Who was denied a moment ago is asked first, and nobody else while that holds.
func TestSuspectsAreAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spent := true
		s := &trials{}
		s.answer = func(q asked) (limiter.Decision, error) {
			if ruleOf(q.key) == "key" && spent {
				return denied, nil
			}
			return left(9), nil
		}
		p := middleware.Policy{Default: []middleware.Rule{perMinute("ip", 10), perMinute("key", 100), perMinute("all", 1000)}}
		h := wrap(t, s, p, teapot)
		order := func() (looks, takes []string) {
			s.takes = nil
			get(h, "/")
			for _, q := range s.takes {
				if q.cost == 0 {
					looks = append(looks, ruleOf(q.key))
				} else {
					takes = append(takes, ruleOf(q.key))
				}
			}
			return looks, takes
		}
		_, takes := order()
		assert.ElementsMatch(t, []string{"ip", "key", "all"}, takes, "nothing is known yet: all at once")
		for range 3 {
			looks, takes := order()
			assert.Equal(t, []string{"key"}, takes)
			assert.ElementsMatch(t, []string{"ip", "all"}, looks, "the longest wait counts")
		}
		spent = false
		_, takes = order()
		assert.Equal(t, "key", takes[0])
		assert.Len(t, takes, 3)
		time.Sleep(time.Minute)
		get(h, "/")
		_, takes = order()
		assert.Len(t, takes, 3)
	})
}

// A rule that counts by outcome counts the policy's own 403 like one of the handler.
func TestForbiddenIsAnOutcome(t *testing.T) {
	for _, c := range []struct {
		name  string
		count func(int) bool
		spent int64
	}{
		{"all", nil, 3},
		{"failures", middleware.CountFailures, 3},
		{"403", middleware.CountStatuses(403), 3},
		{"401", middleware.CountStatuses(401), 0},
		{"401 and 429", middleware.CountStatuses(401, 429), 0},
		{"successes", func(status int) bool { return status < 400 }, 0},
	} {
		counted, keyed, blocked := daily(5), perMinute("keyed", 100), perMinute("blocked", 0)
		counted.Default[0].Count = c.count
		keyed.Key, keyed.Absent = middleware.Header("X-Key"), middleware.AbsentDeny
		for _, other := range []middleware.Rule{keyed, blocked} {
			p := counted
			p.Always = []middleware.Rule{other}
			var events []middleware.Event
			p.OnDecision = func(e middleware.Event) { events = append(events, e) }
			l := limiter.NewLocal(limiter.Config{})
			h := wrap(t, l, p, teapot)
			for range 3 {
				require.Equal(t, http.StatusForbidden, get(h, "/").Code, c.name)
			}
			assert.Len(t, events, 6, "%s: each decision is told once", c.name)
			rule := p.Default[0]
			d, err := l.Take(t.Context(), middleware.BudgetKey(rule.Name, "192.0.2.1"), rule.Limit, 0)
			require.NoError(t, err)
			assert.Equal(t, rule.Limit.Quota-c.spent, d.Remaining, c.name)
		}
	}
}
