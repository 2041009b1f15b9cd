package envoylimit_test

import (
	"context"
	"testing"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// bare is a service that decides nothing.
type bare struct {
	rls.UnimplementedRateLimitServiceServer
}

func (bare) ShouldRateLimit(context.Context, *rls.RateLimitRequest) (*rls.RateLimitResponse, error) {
	return &rls.RateLimitResponse{OverallCode: ok}, nil
}

// What a call costs on loopback, beside one to a service that decides nothing.
func BenchmarkService(b *testing.B) {
	const file = "domains: [{domain: edge, descriptors: [{key: address, rule: {name: address, rate: 1000000000/h}}]}]"
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), parse(b, file))
	require.NoError(b, err)
	for _, s := range []struct {
		name    string
		service rls.RateLimitServiceServer
	}{{"bare call", bare{}}, {"call", newService(m)}} {
		b.Run(s.name, func(b *testing.B) {
			c, r := serve(b, s.service), request("edge", "address=192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				if a, err := c.ShouldRateLimit(b.Context(), r); err != nil || a.GetOverallCode() != ok {
					b.Fatal(a, err)
				}
			}
		})
	}
	b.Run("decision", func(b *testing.B) {
		s, r := newService(m), request("edge", "address=192.0.2.1")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.ShouldRateLimit(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
