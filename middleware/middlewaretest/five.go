package middlewaretest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What every adapter must do, of HTTP or not, told by one policy of five rules: by address, by key
// with plans, failed logins, cost by request, and exempt.

// Procedure is one of the calls that a [Service] answers.
type Procedure struct {
	// Path is what patterns match, such as "/weir.test.Shop/List"; the method is POST.
	Path string
	// Fails says that the answer is "not authenticated": 401, or what the protocol has for it.
	Fails bool
}

// Call sends a call with these headers (or metadata) and tells what came back.
type Call func(t *testing.T, path string, header map[string]string) Reply

// Reply is what came back, in the words of HTTP.
type Reply struct {
	// Status is 200, 401, 403, 429 or 503.
	Status int
	// Limit and Remaining are those of the headers, "" if there are none.
	Limit, Remaining string
	// RetryAfter is the header, or what the protocol has for it, in seconds; 0 if there is none.
	RetryAfter int64
}

// Service serves the procedures, guarded by m in the way that is under test.
type Service func(t *testing.T, m *middleware.Middleware, procedures []Procedure) Call

const (
	list   = "/weir.test.Shop/List"
	batch  = "/weir.test.Shop/Batch"
	health = "/weir.test.Shop/Health"
	right  = "/weir.test.Auth/Right"
	wrong  = "/weir.test.Auth/Wrong"
)

var procedures = []Procedure{{list, false}, {batch, false}, {health, false}, {right, false}, {wrong, true}}

// fiveRules are the five. The address is what one proxy appended, as the peer of a test is nobody.
func fiveRules() middleware.Policy {
	ip, key, login, items := daily("ip", 30), daily("key", 5), daily("login", 3), daily("items", 10)
	key.Key = middleware.FirstOf(middleware.Header("X-Api-Key"), middleware.ClientIP())
	key.Plan, key.Plans = middleware.Header("X-Plan"), map[string]limiter.Limit{"pro": limiter.Per(8, key.Limit.Window)}
	login.Count = middleware.CountStatuses(http.StatusUnauthorized)
	items.CostOf = func(r *http.Request) int64 {
		n, _ := strconv.ParseInt(r.Header.Get("X-Items"), 10, 64)
		return n
	}
	return middleware.Policy{
		Address: middleware.Address{Hops: 1},
		Always:  []middleware.Rule{ip},
		Default: []middleware.Rule{key},
		Routes: []middleware.Route{
			{Patterns: []string{"POST " + right, "POST " + wrong}, Rules: []middleware.Rule{login}},
			middleware.On(batch, items),
			middleware.Exempt(health),
		},
	}
}

// five is the five rules in front of several nodes.
type five struct {
	calls []Call
	turn  atomic.Int64
}

// send sends the next call to the next node.
func (f *five) send(t *testing.T, path, client string, more ...string) Reply {
	t.Helper()
	header := map[string]string{"X-Forwarded-For": client}
	for i := 0; i+1 < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return f.calls[int(f.turn.Add(1))%len(f.calls)](t, path, header)
}

// FiveRules runs the five rules as subtests of name, and after them what else a policy can say of
// whom it refuses: bans, lists, and limits that a function of the program finds.
func FiveRules(t *testing.T, name string, service Service, newLimiter func(t *testing.T) []middleware.Limiter) (became []Row) {
	rows := []struct {
		name   string
		policy middleware.Policy
		run    func(t *testing.T, f *five)
	}{
		{"by address", fiveRules(), byAddress},
		{"by key, with plans", fiveRules(), byKey},
		{"failed logins", fiveRules(), failedLogins},
		{"cost by request", fiveRules(), byCost},
		{"exempt", fiveRules(), exempted},
		{"bans", banRules(), bans},
		{"deny and allow", listRules(), lists},
		{"a limit by request", limitRules(), limitsByRequest},
	}
	t.Run(name, func(t *testing.T) {
		for _, r := range rows {
			ok := t.Run(r.name, func(t *testing.T) {
				f := &five{}
				for _, l := range newLimiter(t) {
					m, err := middleware.New(l, r.policy)
					require.NoError(t, err)
					f.calls = append(f.calls, service(t, m, procedures))
				}
				r.run(t, f)
			})
			became = append(became, Row{"rules: " + r.name, ok})
		}
	})
	return became
}

// Thirty calls of one address pass, whatever keys it sends.
func byAddress(t *testing.T, f *five) {
	for i := range 30 {
		require.Equal(t, http.StatusOK, f.send(t, list, "198.51.100.1", "X-Api-Key", fmt.Sprint(i)).Status, i)
	}
	a := f.send(t, list, "198.51.100.1", "X-Api-Key", "another")
	assert.Equal(t, http.StatusTooManyRequests, a.Status)
	assert.Equal(t, "30", a.Limit)
	assert.Equal(t, "0", a.Remaining)
	assert.Positive(t, a.RetryAfter)
	assert.Equal(t, http.StatusOK, f.send(t, list, "198.51.100.2", "X-Api-Key", "another").Status)
}

// Five calls of a key pass, eight of one whose plan says so.
func byKey(t *testing.T, f *five) {
	for plan, limit := range map[string]int64{"": 5, "pro": 8} {
		for i := range limit {
			a := f.send(t, list, "198.51.100.1", "X-Api-Key", "key of "+plan, "X-Plan", plan)
			require.Equal(t, http.StatusOK, a.Status)
			assert.Equal(t, fmt.Sprint(limit), a.Limit)
			assert.Equal(t, fmt.Sprint(limit-1-i), a.Remaining)
		}
		a := f.send(t, list, "198.51.100.1", "X-Api-Key", "key of "+plan, "X-Plan", plan)
		assert.Equal(t, http.StatusTooManyRequests, a.Status)
	}
}

// Of fifteen wrong passwords three are looked at; right ones cost nothing.
func failedLogins(t *testing.T, f *five) {
	for range 4 {
		a := f.send(t, right, "198.51.100.1")
		require.Equal(t, http.StatusOK, a.Status)
		assert.Equal(t, "2", a.Remaining, "what succeeded was given back")
	}
	seen := map[int]int{}
	for range 15 {
		seen[f.send(t, wrong, "198.51.100.1").Status]++
	}
	assert.Equal(t, map[int]int{http.StatusUnauthorized: 3, http.StatusTooManyRequests: 12}, seen)
	assert.Equal(t, http.StatusTooManyRequests, f.send(t, right, "198.51.100.1").Status)
	assert.Equal(t, http.StatusOK, f.send(t, right, "198.51.100.2").Status)
}

// What does not fit takes nothing.
func byCost(t *testing.T, f *five) {
	for _, step := range []struct {
		items, left string
		status      int
	}{{"4", "6", 200}, {"7", "6", 429}, {"6", "0", 200}, {"1", "0", 429}} {
		a := f.send(t, batch, "198.51.100.1", "X-Items", step.items)
		assert.Equal(t, step.status, a.Status, "%+v", step)
		assert.Equal(t, "10", a.Limit)
		assert.Equal(t, step.left, a.Remaining, "%+v", step)
	}
}

// What is exempt is never refused, says nothing and spends nothing.
func exempted(t *testing.T, f *five) {
	for range 50 {
		a := f.send(t, health, "198.51.100.1")
		require.Equal(t, http.StatusOK, a.Status)
		require.Empty(t, a.Limit)
	}
	assert.Equal(t, "4", f.send(t, list, "198.51.100.1").Remaining)
}

// Service is the server as one of procedures.
func (s Server) Service(t *testing.T, m *middleware.Middleware, procedures []Procedure) Call {
	var all []Endpoint
	for _, p := range procedures {
		status := http.StatusOK
		if p.Fails {
			status = http.StatusUnauthorized
		}
		all = append(all, Endpoint{http.MethodPost, p.Path, func(string) int { return status }})
	}
	h := s(t, m, all)
	return func(_ *testing.T, path string, header map[string]string) Reply {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return ReplyOf(w.Code, w.Header())
	}
}

// ReplyOf is a reply by what HTTP says.
func ReplyOf(status int, h http.Header) Reply {
	wait, _ := strconv.ParseInt(h.Get("Retry-After"), 10, 64)
	return Reply{status, h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Remaining"), wait}
}
