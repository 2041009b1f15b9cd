package middleware_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// A quota of 0 admits nothing, whatever the limiter would say: as a rule, as a plan, by
// whichever algorithm, alone or stacked. No wait helps, so it is 403 and no header tells one.
func TestAQuotaOfZeroBlocks(t *testing.T) {
	blocked := func(edit func(*middleware.Rule)) middleware.Policy {
		r := middleware.Rule{Name: "b", Limit: limiter.Per(0, time.Minute)}
		if edit != nil {
			edit(&r)
		}
		return middleware.Policy{Default: []middleware.Rule{r}}
	}
	plan := func(r *middleware.Rule) {
		r.Limit.Quota = 5
		r.Plan, r.Plans = middleware.Header("Plan"), map[string]limiter.Limit{"suspended": {Window: time.Minute}}
	}
	for _, c := range []struct {
		name   string
		policy middleware.Policy
		edit   func(*http.Request)
		want   int
		asked  int
	}{
		{"a rule", blocked(nil), plain, 403, 0},
		{"a sliding window", blocked(func(r *middleware.Rule) { r.Limit.Algorithm = limiter.SlidingWindow }), plain, 403, 0},
		{"a token bucket", blocked(func(r *middleware.Rule) { r.Limit.Algorithm = limiter.TokenBucket }), plain, 403, 0},
		{"shared", blocked(func(r *middleware.Rule) { r.Key = middleware.Shared() }), plain, 403, 0},
		{"with a cost", blocked(func(r *middleware.Rule) { r.Cost = 7 }), plain, 403, 0},
		{"of requests that cost nothing", blocked(func(r *middleware.Rule) { r.CostOf = func(*http.Request) int64 { return 0 } }), plain, 403, 0},
		{"that fails open", blocked(func(r *middleware.Rule) { r.Outage = middleware.OutageOpen }), plain, 403, 0},
		{"that counts failures", blocked(func(r *middleware.Rule) { r.Count = middleware.CountFailures }), plain, 403, 0},
		{"a plan", blocked(plan), set("Plan", "suspended"), 403, 0},
		{"another plan", blocked(plan), set("Plan", "other"), 418, 1},
		{"only one plan", blocked(func(r *middleware.Rule) {
			plan(r)
			r.Limit.Quota, r.Plans = 0, map[string]limiter.Limit{"paid": {Quota: 9, Window: time.Minute}}
		}), set("Plan", "paid"), 418, 1},
		{"no plan but that", blocked(func(r *middleware.Rule) {
			plan(r)
			r.Limit.Quota, r.Plans = 0, map[string]limiter.Limit{"paid": {Quota: 9, Window: time.Minute}}
		}), plain, 403, 0},
		{"a rule without a key", blocked(func(r *middleware.Rule) { r.Key = middleware.Header("K") }), plain, 403, 0},
		{"a rule that is skipped without a key", blocked(func(r *middleware.Rule) { r.Key, r.Absent = middleware.Header("K"), middleware.AbsentSkip }), plain, 418, 0},
		{"a shadow rule", blocked(func(r *middleware.Rule) { r.Shadow = true }), plain, 418, 0},
	} {
		s := &script{}
		var verdicts []string
		c.policy.OnDecision = func(e middleware.Event) { verdicts = append(verdicts, e.Verdict.String()) }
		w := get(wrap(t, s, c.policy, teapot), "/", c.edit)
		assert.Equal(t, c.want, w.Code, c.name)
		assert.Len(t, s.takes, c.asked, c.name)
		if c.want == 403 {
			assert.Equal(t, []string{"blocked"}, verdicts, c.name)
			assert.Empty(t, w.Header().Get("Retry-After"), c.name)
			assert.Empty(t, w.Header().Get("X-RateLimit-Limit"), c.name)
			assert.Contains(t, w.Body.String(), `"code":"RATE_LIMIT_BLOCKED"`, c.name)
		}
	}
}

// What else a limit of quota 0 says is checked as in any other.
func TestAQuotaOfZeroIsChecked(t *testing.T) {
	for want, l := range map[string]limiter.Limit{
		"Limit.Window (rule \"default\"): 0s is not within":      {},
		"Limit.Window (rule \"default\"): 9000h0m0s is not":      {Window: 9000 * time.Hour},
		"Limit.Burst (rule \"default\"): 3 is only for Token":    {Window: time.Minute, Burst: 3},
		"Limit.Algorithm (rule \"default\"): 9 is unknown":       {Window: time.Minute, Algorithm: 9},
		"Limit.Split (rule \"default\"): 9 is unknown":           {Window: time.Minute, Split: 9},
		"Limit.Quota (rule \"default\"): -1 is not within 0 to ": {Window: time.Minute, Quota: -1},
	} {
		p := by(middleware.Key{})
		p.Default[0].Limit = l
		assert.ErrorContains(t, p.Check(), want)
	}
}

// Stacked, the others are asked and spend: to be refused is not to be free.
func TestABlockedClientMeetsTheOtherLimits(t *testing.T) {
	suspended := perMinute("suspended", 0)
	suspended.Key, suspended.Absent = middleware.Header("X-Api-Key"), middleware.AbsentSkip
	p := middleware.Policy{Default: []middleware.Rule{perMinute("address", 2), suspended}}
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
	for i, want := range []int{403, 403, 429, 429} {
		assert.Equal(t, want, get(h, "/", set("X-Api-Key", "k")).Code, i)
	}
	assert.Equal(t, 429, get(h, "/").Code)
	assert.Equal(t, 418, get(h, "/", from("192.0.2.9:1")).Code, "without the key")
}
