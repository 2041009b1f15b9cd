package client

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// dialects are answers as servers send them, for what reading them costs.
var dialects = map[string]http.Header{
	"none":        header("Date", "Mon, 24 Nov 2025 16:00:00 GMT"),
	"x-ratelimit": header("Date", "Mon, 24 Nov 2025 16:00:00 GMT", "X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "97", "X-RateLimit-Reset", "1764000042"),
	"ietf":        header("Date", "Mon, 24 Nov 2025 16:00:00 GMT", "RateLimit-Policy", `"default";q=100;w=60`, "RateLimit", `"default";r=97;t=42`),
}

// stub answers at once with one and the same response.
func stub(h http.Header) roundTrip {
	resp := &http.Response{StatusCode: 200, Header: h, Body: http.NoBody}
	return func(*http.Request) (*http.Response, error) { return resp, nil }
}

// BenchmarkTransport compares the transport with the bare stub beneath it.
func BenchmarkTransport(b *testing.B) {
	req, err := http.NewRequest("GET", "http://api.test/v1/token", nil)
	require.NoError(b, err)
	bench := func(name string, rt http.RoundTripper) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rt.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("bare", stub(dialects["none"]))
	for _, name := range []string{"none", "x-ratelimit", "ietf"} {
		bench("transport/"+name, &Transport{Base: stub(dialects[name])})
	}
	plenty := header("X-RateLimit-Limit", "1000", "X-RateLimit-Remaining", "999", "X-RateLimit-Reset", "3600")
	bench("paced", &Transport{Base: stub(plenty), Pace: PaceWait})
}

// BenchmarkTransportParallel is what the locks cost.
func BenchmarkTransportParallel(b *testing.B) {
	req, err := http.NewRequest("GET", "http://api.test/v1/token", nil)
	require.NoError(b, err)
	tr := &Transport{Base: stub(dialects["ietf"]), Pace: PaceWait}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := tr.RoundTrip(req); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkParseRateLimit is the reading alone.
func BenchmarkParseRateLimit(b *testing.B) {
	for _, name := range []string{"none", "x-ratelimit", "ietf"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseRateLimit(dialects[name], t0)
			}
		})
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	for name, h := range dialects {
		n := testing.AllocsPerRun(100, func() { ParseRateLimit(h, t0) })
		require.Zero(t, n, name)
	}
}

func TestTransportAllocatesNothing(t *testing.T) {
	req, err := http.NewRequest("GET", "http://api.test/v1/token", nil)
	require.NoError(t, err)
	for _, pace := range []Pace{PaceOff, PaceWait} {
		for name, h := range dialects {
			tr := &Transport{Base: stub(h), Pace: pace}
			n := testing.AllocsPerRun(40, func() { _, _ = tr.RoundTrip(req) })
			require.Zero(t, n, "%s, pace %d", name, pace)
		}
	}
}
