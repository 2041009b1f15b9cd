package middleware_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

var update = flag.Bool("update", false, "write the golden files anew")

// clock is the wall clock of the golden files; 42 s later it is 1764000042.
func clock() time.Time { return time.Unix(1764000000, 0) }

// dump is a response as the golden files have it: headers sorted, as on the wire.
func dump(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	r := w.Result()
	fmt.Fprintf(&b, "%d %s\n", r.StatusCode, http.StatusText(r.StatusCode))
	var lines []string
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v+"\n")
		}
	}
	slices.Sort(lines)
	fmt.Fprintf(&b, "%s\n%s\n", strings.Join(lines, ""), w.Body)
	return b.String()
}

// What goes over the wire, byte by byte. After an intended change run the test with
// -update and read the difference.
func TestGolden(t *testing.T) {
	wholeWindow := limiter.Decision{Remaining: 0, ResetAfter: 42 * time.Second, RetryAfter: 42 * time.Second}
	oneSecond := limiter.Decision{ResetAfter: 300 * time.Millisecond, RetryAfter: time.Nanosecond}
	outage := fmt.Errorf("out of order")
	stack := func(p *middleware.Policy) {
		p.Always = []middleware.Rule{{
			Name: `all "of" them`, Key: middleware.Shared(),
			Limit: limiter.Limit{Quota: 5000, Window: 1500 * time.Millisecond, Algorithm: limiter.TokenBucket, Burst: 50},
		}}
	}
	closed := func(p *middleware.Policy) { p.Default[0].Outage = middleware.OutageClosed }
	open := func(p *middleware.Policy) { p.Default[0].Outage = middleware.OutageOpen }
	dialects := func(d middleware.Dialect) func(*middleware.Policy) {
		return func(p *middleware.Policy) { p.Dialects = d }
	}
	problem := func(p *middleware.Policy) { p.Problem = true }
	for _, c := range []struct {
		name string
		with *script
		edit []func(*middleware.Policy)
	}{
		{"passed", &script{}, nil},
		{"denied", always(wholeWindow, nil), nil},
		{"denied-one-second", always(oneSecond, nil), nil},
		{"denied-problem", always(wholeWindow, nil), []func(*middleware.Policy){problem, stack}},
		{"seconds", &script{}, []func(*middleware.Policy){dialects(middleware.XRateLimitSeconds)}},
		{"ietf", &script{}, []func(*middleware.Policy){dialects(middleware.IETF)}},
		{"ietf-stacked", &script{}, []func(*middleware.Policy){dialects(middleware.IETF), stack}},
		{"both-stacked", &script{}, []func(*middleware.Policy){dialects(middleware.XRateLimit | middleware.IETF), stack}},
		{"none-denied", always(wholeWindow, nil), []func(*middleware.Policy){dialects(middleware.NoHeaders)}},
		{"exposed", &script{}, []func(*middleware.Policy){
			dialects(middleware.XRateLimit | middleware.IETF), func(p *middleware.Policy) { p.ExposeHeaders = true },
		}},
		{"degraded", always(degraded, nil), nil},
		{"degraded-hidden", always(degraded, nil), []func(*middleware.Policy){func(p *middleware.Policy) { p.HideDegraded = true }}},
		{"degraded-closed", always(degraded, nil), []func(*middleware.Policy){closed}},
		{"failed-open", always(limiter.Decision{}, outage), []func(*middleware.Policy){open}},
		{"failed-open-ietf", always(limiter.Decision{}, outage), []func(*middleware.Policy){dialects(middleware.IETF), open}},
		{"failed-closed", always(limiter.Decision{}, outage), []func(*middleware.Policy){closed}},
		{"failed-closed-problem", always(limiter.Decision{}, outage), []func(*middleware.Policy){closed, problem}},
		{"key-missing-problem", &script{}, []func(*middleware.Policy){problem, func(p *middleware.Policy) {
			p.Default[0].Key, p.Default[0].Absent = middleware.Header("X-Api-Key"), middleware.AbsentDeny
		}}},
		{"echo", &script{}, []func(*middleware.Policy){func(p *middleware.Policy) { p.EchoRequestID = true }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 100)}, Now: clock}
			for _, e := range c.edit {
				e(&p)
			}
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "handler") })
			got := dump(get(wrap(t, c.with, p, h), "/", set("X-Request-Id", "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d")))
			file := filepath.Join("testdata", c.name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
}

// Rounding is always to the side on which a client that does as told is admitted.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		now        time.Time
		after      time.Duration
		reset      int64
		inSeconds  int64
		retryAfter int64
	}{
		{time.Unix(1000, 0), 0, 1000, 0, 1},
		{time.Unix(1000, 0), 1, 1001, 1, 1},
		{time.Unix(1000, 0), time.Second, 1001, 1, 1},
		{time.Unix(1000, 0), time.Second + 1, 1002, 2, 2},
		{time.Unix(1000, 1), 0, 1001, 0, 1},
		{time.Unix(1000, 1), time.Second - 1, 1001, 1, 1},
		{time.Unix(1000, 999_999_999), 2, 1002, 1, 1},
		{time.Unix(1000, 500_000_000), 59*time.Second + 500_000_001, 1061, 60, 60},
	} {
		d := limiter.Decision{ResetAfter: c.after, RetryAfter: c.after}
		p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 100)}, Now: func() time.Time { return c.now }}
		w := get(wrap(t, always(d, nil), p, teapot), "/")
		assert.Equal(t, strconv.FormatInt(c.reset, 10), w.Header().Get("X-RateLimit-Reset"), "%+v", c)
		assert.Equal(t, strconv.FormatInt(c.retryAfter, 10), w.Header().Get("Retry-After"), "%+v", c)
		p.Dialects = middleware.XRateLimitSeconds
		w = get(wrap(t, always(d, nil), p, teapot), "/")
		assert.Equal(t, strconv.FormatInt(c.inSeconds, 10), w.Header().Get("X-RateLimit-Reset"), "%+v", c)
	}
}

// Neither handlers nor other requests share what the headers are made of.
func TestHeaderValuesAreNotShared(t *testing.T) {
	h := wrap(t, &script{}, by(middleware.Key{}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-RateLimit-Limit", "added")
		w.Header()["X-Ratelimit-Remaining"][0] = "overwritten"
	}))
	for range 3 {
		w := get(h, "/")
		assert.Equal(t, []string{"100", "added"}, w.Header()["X-Ratelimit-Limit"])
		assert.Equal(t, []string{"overwritten"}, w.Header()["X-Ratelimit-Remaining"])
		assert.Equal(t, w.Header().Get("X-RateLimit-Reset"), w.Header()["X-Ratelimit-Reset"][0])
	}
}

func TestRequestID(t *testing.T) {
	p := by(middleware.Key{})
	p.RequestID = func(r *http.Request) string { return r.URL.Query().Get("id") }
	h := wrap(t, always(denied, nil), p, teapot)
	id := func(target string, edit ...func(*http.Request)) string {
		return get(h, target, edit...).Header().Get("X-Request-Id")
	}
	assert.Equal(t, "mine", id("/?id=mine", set("X-Request-Id", "theirs")))
	assert.Equal(t, "theirs", id("/?id=a%0Ab", set("X-Request-Id", "theirs")), "an insane id is not used")
	assert.Len(t, id("/"), 36)
	assert.NotEqual(t, id("/"), id("/"))

	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "given-before")
		h.ServeHTTP(w, r)
	})
	assert.Equal(t, "given-before", get(outer, "/").Header().Get("X-Request-Id"), "an outer handler's id is kept")
}
