package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// answers is a script by rule name.
func answers(by map[string]limiter.Decision) *script {
	return &script{answer: func(q asked) (limiter.Decision, error) {
		d, ok := by[ruleOf(q.key)]
		if !ok {
			return limiter.Decision{}, fmt.Errorf("no answer for %s", ruleOf(q.key))
		}
		return d, nil
	}}
}

// left is an admission with that much left.
func left(n int64) limiter.Decision {
	return limiter.Decision{Allowed: true, Remaining: n, ResetAfter: time.Minute}
}

func TestStackedShowsTheTightest(t *testing.T) {
	p := middleware.Policy{Default: []middleware.Rule{perMinute("small", 10), perMinute("large", 1000)}}
	for _, c := range []struct {
		small, large limiter.Decision
		limit, left  string
		status       int
		retryAfter   string
	}{
		{left(9), left(999), "10", "9", 418, ""},
		{left(9), left(100), "10", "9", 418, ""}, // the fewest, though not in proportion
		{left(9), left(9), "1000", "9", 418, ""}, // equal: the least in proportion
		{left(1), left(100), "10", "1", 418, ""},
		{left(0), left(1), "10", "0", 418, ""},
		{denied, left(5), "10", "0", 429, "42"},
		{left(5), denied, "1000", "0", 429, "42"},
		// What is denied shows, though the other has less: a cost above 1 did not fit.
		{limiter.Decision{Remaining: 4, ResetAfter: time.Second, RetryAfter: time.Second}, left(0), "10", "4", 429, "1"},
		// Both denied: the longer wait counts, and shows.
		{denied, limiter.Decision{ResetAfter: 99 * time.Second, RetryAfter: 99 * time.Second}, "1000", "0", 429, "99"},
		{limiter.Decision{ResetAfter: 99 * time.Second, RetryAfter: 99 * time.Second}, denied, "10", "0", 429, "99"},
	} {
		w := get(wrap(t, answers(map[string]limiter.Decision{"small": c.small, "large": c.large}), p, teapot), "/")
		assert.Equal(t, c.status, w.Code, "%+v", c)
		assert.Equal(t, c.limit, w.Header().Get("X-RateLimit-Limit"), "%+v", c)
		assert.Equal(t, c.left, w.Header().Get("X-RateLimit-Remaining"), "%+v", c)
		assert.Equal(t, c.retryAfter, w.Header().Get("Retry-After"), "%+v", c)
	}
}

// A denied request spends from no budget, whatever stopped it.
func TestStackedGivesBack(t *testing.T) {
	p := middleware.Policy{Default: []middleware.Rule{perMinute("a", 10), perMinute("b", 10), perMinute("c", 10)}}
	p.Default[1].Cost = 3
	var events []middleware.Event
	p.OnDecision = func(e middleware.Event) { events = append(events, e) }
	s := answers(map[string]limiter.Decision{"a": left(5), "b": left(5), "c": denied})
	w := get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, 429, w.Code)
	require.Len(t, s.takes, 3)
	require.Len(t, s.gives, 2)
	assert.Equal(t, "a", ruleOf(s.gives[0].key))
	assert.Equal(t, int64(1), s.gives[0].cost)
	assert.Equal(t, "b", ruleOf(s.gives[1].key))
	assert.Equal(t, int64(3), s.gives[1].cost)
	var verdicts []string
	for _, e := range events {
		verdicts = append(verdicts, e.Rule+" "+e.Verdict.String())
	}
	assert.Equal(t, []string{"a returned", "b returned", "c denied"}, verdicts)

	// Unavailable instead of denied: the same.
	p.Default[2].Outage = middleware.OutageClosed
	s = answers(map[string]limiter.Decision{"a": left(5), "b": denied, "c": degraded})
	assert.Equal(t, 429, get(wrap(t, s, p, teapot), "/").Code, "a denial is surer than an outage")
	assert.Len(t, s.gives, 2, "what c took degraded goes back as well")
}

// The questions of a stack are asked at the same time.
func TestStackedAsksInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(asked) (limiter.Decision, error) {
			time.Sleep(time.Second) // a round trip to some owner
			return left(5), nil
		}}
		p := middleware.Policy{Default: []middleware.Rule{perMinute("a", 10), perMinute("b", 10), perMinute("c", 10)}}
		start := time.Now()
		get(wrap(t, s, p, teapot), "/")
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// Budgets of a stack stay exact under concurrency: what is admitted is what was spent.
func TestStackedConcurrently(t *testing.T) {
	p := middleware.Policy{
		Always:  []middleware.Rule{{Name: "all", Key: middleware.Shared(), Limit: limiter.Per(30, 24*time.Hour)}},
		Default: []middleware.Rule{{Name: "ip", Limit: limiter.Per(7, 24*time.Hour)}},
	}
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
	var admitted [10]atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				client := (worker + i) % len(admitted)
				if get(h, "/", from(fmt.Sprintf("192.0.2.%d:1", client))).Code == http.StatusTeapot {
					admitted[client].Add(1)
				}
			}
		})
	}
	wg.Wait()
	var sum int64
	for i := range admitted {
		assert.LessOrEqual(t, admitted[i].Load(), int64(7), i)
		sum += admitted[i].Load()
	}
	assert.Equal(t, int64(30), sum, "denied requests must neither spend nor add")
}

func TestShadow(t *testing.T) {
	s := answers(map[string]limiter.Decision{"shadow": denied, "real": left(5)})
	shadow := perMinute("shadow", 1)
	shadow.Shadow = true
	p := middleware.Policy{Default: []middleware.Rule{shadow, perMinute("real", 10)}}
	var events []middleware.Event
	p.OnDecision = func(e middleware.Event) { events = append(events, e) }
	w := get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, 418, w.Code, "it denies nothing")
	assert.Equal(t, "10", w.Header().Get("X-RateLimit-Limit"), "and shows nothing")
	require.Len(t, events, 2)
	assert.True(t, events[0].Shadow && events[0].Verdict == middleware.Denied, "but it decides and reports")

	s = answers(map[string]limiter.Decision{"shadow": left(3), "real": denied})
	w = get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, 429, w.Code, "the other rule enforces")
	require.Len(t, s.gives, 1)
	assert.Equal(t, "shadow", ruleOf(s.gives[0].key), "as if the shadow were enforcing")

	p.Shadow = true
	s = answers(map[string]limiter.Decision{"shadow": denied, "real": denied})
	w = get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, 418, w.Code)
	assert.Empty(t, w.Header().Get("X-RateLimit-Limit"), "for the client there is no limit")
}

func TestPlans(t *testing.T) {
	r := perMinute("default", 100)
	r.Plan = middleware.Header("X-Plan")
	r.Plans = map[string]limiter.Limit{"pro": limiter.Per(500, time.Minute), "enterprise": limiter.Per(2000, time.Minute)}
	p := middleware.Policy{Default: []middleware.Rule{r}, Dialects: middleware.IETF}
	s := &script{}
	h := wrap(t, s, p, teapot)
	for plan, want := range map[string]string{
		"pro": `"default";q=500;w=60`, "enterprise": `"default";q=2000;w=60`,
		"": `"default";q=100;w=60`, "PRO": `"default";q=100;w=60`, "unheard-of": `"default";q=100;w=60`,
	} {
		assert.Equal(t, want, get(h, "/", set("X-Plan", plan)).Header().Get("RateLimit-Policy"), plan)
	}
	for _, q := range s.takes {
		assert.Equal(t, s.takes[0].key, q.key, "one budget, whatever the plan")
	}

	// The same plans by a claim, and by a function of the program.
	named := claims(map[string]string{"plan": "pro"})
	p.Claims = func(ctx context.Context, name string) (string, bool) {
		values, _ := ctx.Value(claimKey{}).(map[string]string)
		return values[name], values != nil
	}
	for _, plan := range []middleware.Key{
		middleware.Claim("plan"),
		middleware.Func(func(r *http.Request) (string, bool) { return "pro", r.Context().Value(claimKey{}) != nil }),
	} {
		p.Default[0].Plan = plan
		h = wrap(t, s, p, teapot)
		assert.Equal(t, `"default";q=500;w=60`, get(h, "/", named).Header().Get("RateLimit-Policy"), plan)
		assert.Equal(t, `"default";q=100;w=60`, get(h, "/").Header().Get("RateLimit-Policy"), plan)
	}
}

// Who changes plans keeps what is spent.
func TestPlanChange(t *testing.T) {
	p := daily(3)
	p.Default[0].Plan = middleware.Header("X-Plan")
	p.Default[0].Plans = map[string]limiter.Limit{"pro": limiter.Per(5, 24*time.Hour)}
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
	for i, c := range []struct {
		plan, left string
		status     int
	}{{"", "2", 418}, {"", "1", 418}, {"", "0", 418}, {"", "0", 429}, {"pro", "1", 418}, {"", "0", 429}, {"pro", "0", 418}, {"pro", "0", 429}} {
		w := get(h, "/", set("X-Plan", c.plan))
		assert.Equal(t, c.status, w.Code, i)
		assert.Equal(t, c.left, w.Header().Get("X-RateLimit-Remaining"), i)
	}
}

func TestCosts(t *testing.T) {
	p := by(middleware.Key{})
	p.Default[0].Cost = 5
	s := &script{}
	get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, int64(5), s.takes[0].cost)

	for asked, want := range map[int64]int64{3: 3, 0: 0, -1: 1, -1 << 62: 1, 100: 100, 101: 100, 1 << 62: 100} {
		p.Default[0].CostOf = func(*http.Request) int64 { return asked }
		s = &script{}
		get(wrap(t, s, p, teapot), "/")
		assert.Equal(t, want, s.takes[0].cost, "a cost of %d", asked)
	}

	p.Default[0].CostOf = func(*http.Request) int64 { return 0 }
	w := get(wrap(t, always(denied, nil), p, teapot), "/")
	assert.Equal(t, http.StatusTeapot, w.Code, "what costs nothing passes")
	assert.Equal(t, "0", w.Header().Get("X-RateLimit-Remaining"))
}

func TestSkip(t *testing.T) {
	p := by(middleware.Key{})
	p.Skip = func(r *http.Request) bool { return r.URL.Path == "/internal" }
	s := always(denied, nil)
	w := get(wrap(t, s, p, teapot), "/internal")
	assert.Equal(t, http.StatusTeapot, w.Code)
	assert.Empty(t, w.Header())
	assert.Empty(t, s.takes)
	assert.Equal(t, http.StatusTooManyRequests, get(wrap(t, s, p, teapot), "/").Code)
}

// Routes, always and default: which rules count where.
func TestRulesByRoute(t *testing.T) {
	p := middleware.Policy{
		Always:  []middleware.Rule{perMinute("all", 1000)},
		Default: []middleware.Rule{perMinute("default", 100)},
		Routes: []middleware.Route{
			{Patterns: []string{"/a", "POST /b"}, Rules: []middleware.Rule{perMinute("ab", 10)}},
			middleware.Exempt("/free", "GET /also-free"),
		},
	}
	for target, want := range map[string][]string{
		"/a": {"all", "ab"}, "/b": {"all", "default"}, "/c": {"all", "default"}, "/free": nil, "/also-free": nil,
	} {
		s := &script{}
		get(wrap(t, s, p, teapot), target)
		var rules []string
		for _, q := range s.takes {
			rules = append(rules, ruleOf(q.key))
		}
		assert.ElementsMatch(t, want, rules, target)
	}
	p.Default = nil
	p.Always = nil
	s := &script{}
	w := get(wrap(t, s, p, teapot), "/c")
	assert.Empty(t, s.takes, "no default: not limited")
	assert.Empty(t, w.Header())
}
