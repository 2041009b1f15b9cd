package client

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile are answers that are made to cost. Each is a megabyte or more.
var hostile = map[string]struct {
	h    http.Header
	body string
}{
	"digits":          {h: http.Header{"X-Ratelimit-Remaining": {strings.Repeat("9", 1<<20)}}},
	"spaces":          {h: http.Header{"X-Ratelimit-Limit": {strings.Repeat(" ", 1<<20)}}},
	"lines of a wait": {h: http.Header{"Retry-After": slicesRepeat("5", 1<<20)}},
	"lines of a list": {h: http.Header{"Ratelimit": slicesRepeat(`"a";r=1`, 1<<18)}},
	"parameters":      {h: http.Header{"Ratelimit": {`"a";r=1` + strings.Repeat(";a=1", 1<<18)}}},
	"members":         {h: http.Header{"Ratelimit-Policy": {strings.Repeat(`"a";q=1,`, 1<<18)}}},
	"a name":          {h: http.Header{"Ratelimit": {`"` + strings.Repeat(`\\`, 1<<19) + `";r=1`}}},
	"a dictionary":    {h: http.Header{"Ratelimit": {"limit=1" + strings.Repeat(", limit=1", 1<<17)}}},
	"copies":          {h: http.Header{"Age": {strings.Repeat("1, ", 1<<19)}}},
	"a date":          {h: http.Header{"Date": {strings.Repeat("Mon, ", 1<<18)}, "Retry-After": {"Mon, 24 Nov 2025 16:00:42 GMT"}}},
	"a call limit":    {h: http.Header{"X-Shopify-Shop-Api-Call-Limit": {strings.Repeat("1/", 1<<19)}}},
	"a content type":  {h: http.Header{"Content-Type": {"application/json;" + strings.Repeat("a=b;", 1<<18)}}, body: "{}"},
	"a request id":    {h: http.Header{"X-Request-Id": {strings.Repeat("é", 1<<19)}}},
	"depth":           {h: header("Content-Type", "application/json"), body: strings.Repeat("[", 1<<20)},
	"depth, closed":   {h: header("Content-Type", "application/json"), body: strings.Repeat("[", 4000) + strings.Repeat("]", 4000)},
	"fields":          {h: header("Content-Type", "application/json"), body: `{"code":"a"` + strings.Repeat(`,"code":"a"`, 1<<16) + "}"},
	"small fields":    {h: header("Content-Type", "application/json"), body: `{"code":"a"` + strings.Repeat(`,"code":"a"`, 700) + "}"},
	"escapes":         {h: header("Content-Type", "application/json"), body: `{"message":"` + strings.Repeat(`\u00e9`, 1300) + `"}`},
	"a message":       {h: header("Content-Type", "application/json"), body: `{"message":"` + strings.Repeat("é", 1<<19) + `"}`},
}

func slicesRepeat(s string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = s
	}
	return lines
}

// readHostile does all that is done with an answer's headers and body.
func readHostile(h http.Header, body string) {
	resp := &http.Response{StatusCode: 429, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
	s := sighting{RateLimit: ParseRateLimit(h, t0), status: 429, refused: true}
	_ = s.refusal(resp).Error()
	drain(resp.Body, drainTime)
}

// BenchmarkHostile is the time that each takes: see the largest.
func BenchmarkHostile(b *testing.B) {
	for name, tc := range hostile {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				readHostile(tc.h, tc.body)
			}
		})
	}
}

func TestHostileAnswersCostLittle(t *testing.T) {
	for name, tc := range hostile {
		t.Run(name, func(t *testing.T) {
			const runs = 20
			readHostile(tc.h, tc.body) // what is allocated once and kept is not an answer's cost
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				readHostile(tc.h, tc.body)
			}
			runtime.ReadMemStats(&after)
			assert.LessOrEqual(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(64<<10), "bytes")
		})
	}
}

// TestHostileBodiesAreNotRead bounds how much of a body is taken from the connection.
func TestHostileBodiesAreNotRead(t *testing.T) {
	for name, pairs := range map[string][]string{
		"no type": nil, "text": {"Content-Type", "text/plain"}, "JSON": {"Content-Type", "application/json"},
		"problem": {"Content-Type", "application/problem+json"}, "retried": {"Retry-After", "0"},
		"JSON, retried": {"Content-Type", "application/json", "Retry-After", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp := respond(429, "", pairs...)
				body := &endless{}
				resp.Body, resp.ContentLength = body, -1
				calls := 0
				tr := &Transport{ErrorOnLimit: true, Base: roundTrip(func(*http.Request) (*http.Response, error) {
					if calls++; calls > 1 {
						return respond(429, ""), nil
					}
					return resp, nil
				}), Retry: Retry{Attempts: 2}}
				_, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
				require.Error(t, err)
				assert.True(t, body.closed.Load())
				assert.LessOrEqual(t, body.taken.Load(), int64(bodyMax+drainMax))
			})
		})
	}
}

// TestNoAnswerBlocksForLonger is what one answer can do to a pacing client, whatever
// is in it: all ways in which an answer can name a time.
func TestNoAnswerBlocksForLonger(t *testing.T) {
	year := []string{"31622400"}
	for name, h := range map[string]http.Header{
		"Retry-After, a year":    {"Retry-After": year},
		"Retry-After, beyond":    {"Retry-After": {"99999999999999999999"}},
		"Retry-After, a date":    {"Retry-After": {"Mon, 24 Nov 2099 16:00:42 GMT"}},
		"reset in seconds":       {"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": year},
		"reset in Unix time":     {"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"978000000"}},
		"structured field":       {"Ratelimit": {`"d";r=0;t=31622400`}},
		"dictionary":             {"Ratelimit": {"limit=1, remaining=0, reset=31622400"}},
		"both":                   {"Retry-After": year, "Ratelimit": {`"d";r=0;t=31622400`}},
		"something left, spread": {"X-Ratelimit-Remaining": {"1"}, "X-Ratelimit-Reset": year},
	} {
		for _, status := range []int{200, 429, 503} {
			for _, pace := range []Pace{PaceFail, PaceWait, PaceSpread} {
				for most, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute} {
					synctest.Test(t, func(t *testing.T) {
						tr := &Transport{Pace: pace, PaceMax: most, Retry: Retry{Attempts: 1, Total: 1 << 62}, Base: roundTrip(func(*http.Request) (*http.Response, error) {
							resp := respond(status, "")
							resp.Header = h
							return resp, nil
						})}
						require.NoError(t, storm1(t, tr))
						start := time.Now()
						if pace == PaceFail {
							time.Sleep(want)
						}
						assert.NoError(t, storm1(t, tr), "%s, %d, %v", name, status, pace)
						assert.LessOrEqual(t, time.Since(start), want, "%s, %d, %v", name, status, pace)
					})
				}
			}
		}
	}
}
