// Package envoylimit answers Envoy's rate limit service, envoy.service.ratelimit.v3, by a weir
// policy: proxies such as Envoy, Istio's and Contour's then share weir's budgets, without Redis.
//
// Which rule counts for a descriptor is found in the policy's Domains, which a policy file has under
// "domains". A request must pass all of its descriptors, and spends from none if it is refused.
// What no rule is for, and what is in an unknown domain, passes.
//
// The answer has, for each descriptor, its code, the limit, what is left and when the budget is whole
// again; the limit headers as response headers, by the policy's Dialects; and for a refused
// request the body that the policy chooses. Where a rule cannot be decided and its outage is closed,
// the call ends with UNAVAILABLE, so that the proxy's failure_mode_deny decides.
package envoylimit

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-go/weir/middleware"
)

// Service answers the calls of proxies. It is safe for concurrent use:
//
//	rls.RegisterRateLimitServiceServer(server, envoylimit.New(guard))
type Service struct {
	rls.UnimplementedRateLimitServiceServer
	m *middleware.Middleware
}

// New returns a Service that asks m, whose policy has Domains.
func New(m *middleware.Middleware) *Service { return &Service{m: m} }

// ShouldRateLimit is the service's one method. Its errors are INVALID_ARGUMENT for a request without
// a domain or descriptors, with an empty descriptor, or with negative hits; UNAVAILABLE; and
// those of ctx.
func (s *Service) ShouldRateLimit(ctx context.Context, r *rls.RateLimitRequest) (*rls.RateLimitResponse, error) {
	c, err := callOf(r)
	if err != nil {
		return nil, err
	}
	o, err := s.m.Decide(ctx, c)
	if err != nil {
		return nil, status.FromContextError(err).Err()
	}
	defer o.Done(0)
	if o.Refusal.Status == http.StatusServiceUnavailable {
		return nil, status.Error(codes.Unavailable, "the limiter cannot decide")
	}
	answer := &rls.RateLimitResponse{OverallCode: rls.RateLimitResponse_OK, Statuses: make([]*rls.RateLimitResponse_DescriptorStatus, len(c.Descriptors))}
	for i := range answer.Statuses {
		answer.Statuses[i] = statusOf(o.Descriptor(i))
	}
	header := o.Header()
	if !o.Allowed {
		answer.OverallCode = rls.RateLimitResponse_OVER_LIMIT
		w := refusal{header: http.Header{}}
		o.Write(&w)
		answer.RawBody, header = w.body.Bytes(), w.header
	}
	answer.ResponseHeadersToAdd = headers(header)
	return answer, nil
}

// statusOf is what a proxy is told of one descriptor.
func statusOf(e middleware.Event, limited bool) *rls.RateLimitResponse_DescriptorStatus {
	s := &rls.RateLimitResponse_DescriptorStatus{Code: rls.RateLimitResponse_OK}
	if !limited {
		return s
	}
	s.CurrentLimit = currentLimit(e.Rule, e.Limit)
	s.DurationUntilReset = durationpb.New(e.Decision.ResetAfter)
	s.LimitRemaining = uint32(max(0, e.Decision.Remaining))
	switch e.Verdict {
	case middleware.Denied, middleware.Banned, middleware.Blocked:
		if s.LimitRemaining = 0; !e.Shadow {
			s.Code = rls.RateLimitResponse_OVER_LIMIT
		}
	}
	return s
}

// headers are response headers as the proxy is to add them, in the order of their names.
func headers(h http.Header) (all []*core.HeaderValue) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			all = append(all, &core.HeaderValue{Key: strings.ToLower(name), Value: value})
		}
	}
	return all
}

// refusal is what the policy writes for a refused request.
type refusal struct {
	header http.Header
	body   bytes.Buffer
}

// Header is the refusal's.
func (r *refusal) Header() http.Header { return r.header }

// Write adds to the body.
func (r *refusal) Write(b []byte) (int, error) { return r.body.Write(b) }

// WriteHeader has no effect: which status a refusal has is the proxy's to say.
func (r *refusal) WriteHeader(int) {}
