package middleware_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// banning is a rule of 2 per minute that bans for 5 minutes after 3 refusals within one, and for
// at most 15.
func banning() middleware.Rule {
	r := perMinute("login", 2)
	r.Ban = middleware.Ban{After: 3, For: 5 * time.Minute, Max: 15 * time.Minute}
	return r
}

// hit sends a request and returns its status and the wait that it was told.
func hit(t *testing.T, h http.Handler, edit ...func(*http.Request)) (status int, wait time.Duration) {
	t.Helper()
	a := get(h, "/", edit...)
	if s := a.Header().Get("Retry-After"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		wait = time.Duration(n) * time.Second
	}
	return a.Code, wait
}

// banned makes as many requests as it takes from an untouched budget, and returns the ban.
func banned(t *testing.T, h http.Handler) time.Duration {
	t.Helper()
	for range 2 {
		status, _ := hit(t, h)
		require.Equal(t, http.StatusTeapot, status)
	}
	for range 2 {
		status, wait := hit(t, h)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.LessOrEqual(t, wait, time.Minute)
	}
	status, wait := hit(t, h)
	require.Equal(t, http.StatusTooManyRequests, status)
	return wait
}

// inWindow begins a bubble at the start of a window of the rule.
func inWindow(t *testing.T, p middleware.Policy, test func(t *testing.T, h http.Handler)) {
	synctest.Test(t, func(t *testing.T) {
		h := engine(t, p).Wrap(teapot)
		_, wait := 0, time.Duration(0)
		for range 3 {
			_, wait = hit(t, h, from("198.51.100.1:1"))
		}
		time.Sleep(wait) // whole seconds: within one of the window's start
		test(t, h)
	})
}

// Bans are as long as it says, and twice as long each time, up to the longest; a subject that
// waits is admitted at the end, and one that was never banned notices nothing.
func TestBan(t *testing.T) {
	inWindow(t, middleware.Policy{Default: []middleware.Rule{banning()}}, func(t *testing.T, h http.Handler) {
		for _, want := range []time.Duration{5, 10, 15, 15} {
			assert.Equal(t, want*time.Minute, banned(t, h))
			time.Sleep((want - 2) * time.Minute)
			status, wait := hit(t, h)
			assert.Equal(t, http.StatusTooManyRequests, status)
			assert.Equal(t, 2*time.Minute, wait)
			time.Sleep(wait)
			status, _ = hit(t, h, from("198.51.100.2:1"))
			assert.Equal(t, http.StatusTeapot, status)
		}
		time.Sleep(2 * time.Hour) // so often twice the longest that all is forgotten
		assert.Equal(t, 5*time.Minute, banned(t, h))
	})
}

// Who goes on while banned is banned for longer, and the end is a maximum: what is left is part of it.
func TestBanGoesOn(t *testing.T) {
	inWindow(t, middleware.Policy{Default: []middleware.Rule{banning()}}, func(t *testing.T, h http.Handler) {
		banned(t, h)
		time.Sleep(time.Minute)
		var wait time.Duration
		for range 3 {
			_, wait = hit(t, h)
		}
		assert.Equal(t, 10*time.Minute, wait)
		for range 10 { // no more in this window
			_, wait = hit(t, h)
			assert.Equal(t, 10*time.Minute, wait)
		}
	})
}

// The events tell of a ban and how long it is; a rule that is a shadow bans in its events only.
func TestBanIsHeardOf(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		r := banning()
		r.Shadow = shadow
		var last middleware.Event
		p := middleware.Policy{Default: []middleware.Rule{r}, OnDecision: func(e middleware.Event) { last = e }}
		inWindow(t, p, func(t *testing.T, h http.Handler) {
			for range 6 {
				status, _ := hit(t, h)
				assert.True(t, !shadow || status == http.StatusTeapot)
			}
			assert.Equal(t, middleware.Banned, last.Verdict)
			assert.Equal(t, 5*time.Minute, last.Decision.RetryAfter.Round(time.Second))
			assert.Equal(t, int64(0), last.Decision.Remaining)
			assert.Equal(t, "login", last.Rule)
		})
	}
}

// While one is banned no other rule is spent from, and the ban's wait is the one that is told.
func TestBanAmongOtherRules(t *testing.T) {
	all := perMinute("all", 1000)
	all.Key = middleware.Shared()
	p := middleware.Policy{Always: []middleware.Rule{all}, Default: []middleware.Rule{banning()}}
	inWindow(t, p, func(t *testing.T, h http.Handler) {
		banned(t, h)
		left := func() string { return get(h, "/", from("198.51.100.3:1")).Header().Get("X-RateLimit-Limit") }
		require.Equal(t, "2", left())
		for range 50 {
			a := get(h, "/")
			require.Equal(t, http.StatusTooManyRequests, a.Code)
			assert.Equal(t, []string{"2", "0"}, []string{a.Header().Get("X-RateLimit-Limit"), a.Header().Get("X-RateLimit-Remaining")})
			assert.NotEqual(t, "1", a.Header().Get("Retry-After"))
		}
	})
}

// A limiter that cannot tell whether somebody is banned bans nobody: the rule's outage decides.
func TestBanOutage(t *testing.T) {
	h := wrap(t, always(limiter.Decision{}, assert.AnError), middleware.Policy{Default: []middleware.Rule{banning()}}, teapot)
	for range 2 {
		status, _ := hit(t, h)
		assert.Equal(t, http.StatusTeapot, status)
	}
}

func TestBanIsChecked(t *testing.T) {
	for want, b := range map[string]middleware.Ban{
		"Default[0].Ban.After": {For: time.Minute},
		"Default[0].Ban.For":   {After: 1},
		"Default[0].Ban.Max":   {After: 1, For: time.Hour, Max: time.Minute},
		"408h0m0s is too long": {After: 1, For: time.Second, Max: 17 * 24 * time.Hour},
	} {
		r := banning()
		r.Ban = b
		require.ErrorContains(t, middleware.Policy{Default: []middleware.Rule{r}}.Check(), want)
	}
	for _, b := range []middleware.Ban{
		{After: 1, For: time.Millisecond}, {After: 1, For: 24 * time.Hour}, {After: limiter.MaxQuota, For: 90 * 24 * time.Hour}, {After: 1, For: limiter.MaxWindow / 4, Max: limiter.MaxWindow / 4},
		{After: 1, For: time.Second, Max: 8 * 24 * time.Hour}, {After: 1, For: time.Minute, Max: time.Minute},
	} {
		r := banning()
		r.Ban = b
		require.NoError(t, middleware.Policy{Default: []middleware.Rule{r}}.Check())
		h := wrap(t, limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{r}}, teapot)
		for range 4 {
			_, wait := hit(t, h)
			assert.LessOrEqual(t, wait, max(b.Max, b.For, time.Hour))
		}
	}
}

// Another policy frees nobody who is banned, and bans nobody for longer.
func TestBanOutlivesAnotherPolicy(t *testing.T) {
	with := func(b middleware.Ban) middleware.Policy {
		r := banning()
		r.Ban = b
		return middleware.Policy{Default: []middleware.Rule{r}}
	}
	const left = 4*time.Minute + 58*time.Second
	for name, ban := range map[string]middleware.Ban{
		"a longer first one":  {After: 3, For: 10 * time.Minute, Max: 15 * time.Minute},
		"a shorter first one": {After: 3, For: 1234 * time.Millisecond, Max: 15 * time.Minute},
		"a longer last one":   {After: 3, For: 5 * time.Minute, Max: 24 * time.Hour},
		"a shorter last one":  {After: 3, For: time.Minute, Max: 2 * time.Minute},
		"other refusals":      {After: 30, For: 5 * time.Minute, Max: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := middleware.New(limiter.NewLocal(limiter.Config{}), with(banning().Ban))
				require.NoError(t, err)
				h := m.Wrap(teapot)
				for range 5 {
					hit(t, h)
				}
				require.NoError(t, m.Swap(with(ban)))
				time.Sleep(2 * time.Second) // beyond what is remembered without a question
				status, wait := hit(t, h)
				assert.Equal(t, http.StatusTooManyRequests, status)
				assert.Equal(t, left, wait)
				time.Sleep(wait)
				status, _ = hit(t, h)
				assert.Equal(t, http.StatusTeapot, status, "after %v", wait)
			})
		})
	}
}

// Whoever knows the budgets of a rule can lift a ban, and with it what led to it.
func TestBanIsLifted(t *testing.T) {
	p := middleware.Policy{Routes: []middleware.Route{middleware.On("/", banning())}, Default: []middleware.Rule{perMinute("other", 5)}}
	synctest.Test(t, func(t *testing.T) {
		l := limiter.NewLocal(limiter.Config{})
		h := wrap(t, l, p, teapot)
		for range 7 {
			hit(t, h)
		}
		budgets := p.Budgets("login", "192.0.2.1")
		require.Len(t, budgets, 4)
		for i, b := range budgets {
			before, err := l.Take(t.Context(), b.Key, b.Limit, 0)
			require.NoError(t, err)
			require.Less(t, before.Remaining, b.Limit.Capacity(), "budget %d is the one that was used", i)
			require.NoError(t, l.Reset(t.Context(), b.Key, b.Limit))
		}
		time.Sleep(time.Second) // so long it is believed
		status, _ := hit(t, h)
		assert.Equal(t, http.StatusTeapot, status)
	})
	assert.Len(t, p.Budgets("other", "192.0.2.1"), 1)
	assert.Equal(t, middleware.BudgetKey("other", "192.0.2.1"), p.Budgets("other", "192.0.2.1")[0].Key)
	assert.Nil(t, p.Budgets("nobody"))
}

// Whoever sprays keys does not get rid of a ban: it is no budget that loses little.
func TestBanOutlivesManyKeys(t *testing.T) {
	r := banning()
	r.Key = middleware.Header("X-User")
	p, l := middleware.Policy{Default: []middleware.Rule{r}}, limiter.NewLocal(limiter.Config{MaxKeys: 200})
	h := wrap(t, l, p, teapot)
	for range 12 {
		hit(t, h, set("X-User", "mallory"))
	}
	for i := range 3000 {
		hit(t, h, set("X-User", strconv.Itoa(i)))
	}
	status, wait := hit(t, wrap(t, l, p, teapot), set("X-User", "mallory")) // one that remembers nothing
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Greater(t, wait, time.Minute)
}

// A ban that ends before the limit admits again does not tell anybody to come back earlier.
func TestShortBanDoesNotShortenTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := perMinute("short", 1)
		r.Ban = middleware.Ban{After: 1, For: time.Second}
		h := wrap(t, limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{r}}, teapot)
		hit(t, h)
		status, wait := hit(t, h)
		require.Equal(t, http.StatusTooManyRequests, status)
		time.Sleep(wait)
		status, _ = hit(t, h)
		assert.Equal(t, http.StatusTeapot, status, "after %v", wait)
	})
}
