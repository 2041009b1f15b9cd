package envoylimit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

const edge = `
domains:
  - domain: edge
    descriptors:
      - {key: address, rule: {name: address, rate: 3/6h}}
      - {key: user, rule: {name: user, rate: 100/90s}}
      - {key: month, rule: {name: month, quota: 9, align: month}}
      - {key: bucket, rule: {name: bucket, rate: 10/d, algorithm: token-bucket, burst: 20}}
      - {key: odd, rule: {name: odd, rate: 10/1500ms}}
`

func local(t testing.TB) rls.RateLimitServiceClient {
	return service(t, limiter.NewLocal(limiter.Config{}), edge)
}

// A proxy is told of each descriptor, by its place: the limit, what is left, and until when.
func TestAnswers(t *testing.T) {
	c := local(t)
	a := ask(t, c, request("edge", "nobody=x", "address=192.0.2.1", "user=ann", "month=x", "bucket=x", "odd=x"))
	assert.Equal(t, ok, a.GetOverallCode())
	assert.Empty(t, a.GetRawBody())
	assert.Nil(t, a.GetStatuses()[0].GetCurrentLimit())
	for i, want := range []struct {
		rule              string
		quota, left       uint32
		unit              rls.RateLimitResponse_RateLimit_Unit
		multiplier        uint32
		shortest, longest time.Duration
	}{
		{"address", 3, 2, rls.RateLimitResponse_RateLimit_HOUR, 6, 0, 6 * time.Hour},
		{"user", 100, 99, rls.RateLimitResponse_RateLimit_SECOND, 90, 0, 90 * time.Second},
		{"month", 9, 8, rls.RateLimitResponse_RateLimit_MONTH, 0, 0, 31 * 24 * time.Hour},
		{"bucket", 10, 19, rls.RateLimitResponse_RateLimit_DAY, 0, time.Hour, 3 * time.Hour},
		{"odd", 10, 9, rls.RateLimitResponse_RateLimit_UNKNOWN, 0, 0, 2 * time.Second},
	} {
		s := a.GetStatuses()[i+1]
		assert.Equal(t, ok, s.GetCode())
		l := s.GetCurrentLimit()
		assert.Equal(t, want.rule, l.GetName())
		assert.Equal(t, want.quota, l.GetRequestsPerUnit(), want.rule)
		assert.Equal(t, want.unit, l.GetUnit(), want.rule)
		assert.Equal(t, want.multiplier, l.GetUnitMultiplier().GetValue(), want.rule)
		assert.Equal(t, want.left, s.GetLimitRemaining(), want.rule)
		reset := s.GetDurationUntilReset().AsDuration()
		assert.Greater(t, reset, want.shortest, want.rule)
		assert.LessOrEqual(t, reset, want.longest, want.rule)
	}
	assert.Equal(t, "2", header(a, "x-ratelimit-remaining"), "the tightest of them")
}

// A refusal has the policy's headers and body; what else was asked has spent nothing.
func TestRefusal(t *testing.T) {
	c := local(t)
	for range 3 {
		ask(t, c, request("edge", "address=192.0.2.1"))
	}
	a := ask(t, c, request("edge", "user=ann", "address=192.0.2.1"))
	assert.Equal(t, over, a.GetOverallCode())
	assert.Equal(t, ok, a.GetStatuses()[0].GetCode())
	assert.Equal(t, over, a.GetStatuses()[1].GetCode())
	assert.Zero(t, a.GetStatuses()[1].GetLimitRemaining())
	assert.NotEmpty(t, header(a, "retry-after"))
	assert.Contains(t, header(a, "content-type"), "json")
	assert.Contains(t, string(a.GetRawBody()), "RATE_LIMIT_EXCEEDED")
	a = ask(t, c, request("edge", "user=ann"))
	assert.EqualValues(t, 99, a.GetStatuses()[0].GetLimitRemaining(), "the first that was taken")
}

// hits_addend is the cost, of the request or of a descriptor.
func TestHits(t *testing.T) {
	c := local(t)
	left := func(hits uint32, own *wrapperspb.UInt64Value) (rls.RateLimitResponse_Code, uint32) {
		r := request("edge", "user=ann")
		r.HitsAddend, r.Descriptors[0].HitsAddend = hits, own
		s := ask(t, c, r).GetStatuses()[0]
		return s.GetCode(), s.GetLimitRemaining()
	}
	for _, x := range []struct {
		hits uint32
		own  *wrapperspb.UInt64Value
		code rls.RateLimitResponse_Code
		left uint32
	}{
		{0, nil, ok, 99},
		{9, nil, ok, 90},
		{9, wrapperspb.UInt64(40), ok, 50},
		{9, wrapperspb.UInt64(0), ok, 50},
		{51, nil, over, 0},
		{1 << 31, nil, over, 0},
		{0, wrapperspb.UInt64(1 << 63), over, 0},
		{50, nil, ok, 0},
		{1, nil, over, 0},
		{0, wrapperspb.UInt64(0), ok, 0},
	} {
		code, remains := left(x.hits, x.own)
		assert.Equal(t, x.code, code, "%+v", x)
		assert.Equal(t, x.left, remains, "%+v", x)
	}
}

// A descriptor may bring its own limit, where the domain is known.
func TestOverride(t *testing.T) {
	c := local(t)
	with := func(domain string, quota uint32, unit types.RateLimitUnit, n *wrapperspb.UInt32Value) *rls.RateLimitRequest {
		r := request(domain, "user=ann")
		r.Descriptors[0].Limit = &common.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: quota, Unit: unit, UnitMultiplier: n}
		return r
	}
	day := with("edge", 2, types.RateLimitUnit_DAY, nil)
	for range 2 {
		a := ask(t, c, day)
		assert.Equal(t, ok, a.GetOverallCode())
		assert.EqualValues(t, 2, a.GetStatuses()[0].GetCurrentLimit().GetRequestsPerUnit())
		assert.Equal(t, rls.RateLimitResponse_RateLimit_DAY, a.GetStatuses()[0].GetCurrentLimit().GetUnit())
	}
	assert.Equal(t, over, ask(t, c, day).GetOverallCode())
	assert.Equal(t, ok, ask(t, c, with("edge", 1, types.RateLimitUnit_MONTH, nil)).GetOverallCode())
	assert.Equal(t, over, ask(t, c, with("edge", 0, types.RateLimitUnit_HOUR, nil)).GetOverallCode(), "nothing is admitted")
	assert.Equal(t, ok, ask(t, c, with("edge", 1<<32-1, types.RateLimitUnit_HOUR, wrapperspb.UInt32(12))).GetOverallCode())
	for range 3 {
		assert.Equal(t, ok, ask(t, c, with("unknown", 1, types.RateLimitUnit_DAY, nil)).GetOverallCode())
	}
	for _, bad := range []*rls.RateLimitRequest{
		with("edge", 1, types.RateLimitUnit_UNKNOWN, nil),
		with("edge", 1, 99, nil),
		with("edge", 1, types.RateLimitUnit_SECOND, wrapperspb.UInt32(0)),
		with("edge", 1, types.RateLimitUnit_YEAR, wrapperspb.UInt32(2)),
		with("edge", 1, types.RateLimitUnit_MONTH, wrapperspb.UInt32(2)),
		with("edge", 1, types.RateLimitUnit_DAY, wrapperspb.UInt32(1<<32-1)),
	} {
		_, err := c.ShouldRateLimit(t.Context(), bad)
		assert.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	}
}

// What is no question is an error, and one that is too large.
func TestBadRequests(t *testing.T) {
	c := local(t)
	many := request("edge")
	for range 65 {
		many.Descriptors = append(many.Descriptors, descriptor("user=ann"))
	}
	negative := request("edge", "user=ann")
	negative.Descriptors[0].IsNegativeHits = true
	for what, r := range map[string]*rls.RateLimitRequest{
		"domain":           request("", "user=ann"),
		"descriptors":      request("edge"),
		"64":               many,
		"entries":          {Domain: "edge", Descriptors: []*common.RateLimitDescriptor{{}}},
		"elements":         request("edge", strings.Repeat("a=b, ", 64)+"a=b"),
		"is_negative_hits": negative,
	} {
		_, err := c.ShouldRateLimit(t.Context(), r)
		assert.Equal(t, codes.InvalidArgument, status.Code(err), what)
		assert.ErrorContains(t, err, what)
	}
	long := strings.Repeat("x", 1<<20)
	for range 3 {
		assert.Equal(t, ok, ask(t, c, request("edge", "address="+long)).GetOverallCode())
	}
	assert.Equal(t, over, ask(t, c, request("edge", "address="+long)).GetOverallCode(), "a long value is one like any other")
	assert.Equal(t, ok, ask(t, c, request("edge", "address="+long+"y")).GetOverallCode())
	assert.Equal(t, ok, ask(t, c, request("edge", "address=")).GetOverallCode())
	assert.Equal(t, ok, ask(t, c, request("edge", "address=\x00")).GetOverallCode())
}

// broken is a limiter that cannot decide.
type broken struct{}

func (broken) Take(context.Context, string, limiter.Limit, int64) (limiter.Decision, error) {
	return limiter.Decision{}, errors.New("no")
}

func (broken) Give(context.Context, string, limiter.Limit, int64) error { return errors.New("no") }

// Without a decision the rule says what is to be done.
func TestOutage(t *testing.T) {
	for outage, want := range map[string]codes.Code{"open": codes.OK, "local": codes.OK, "closed": codes.Unavailable} {
		c := service(t, broken{}, strings.ReplaceAll(edge, "rate: 3/6h", "rate: 3/6h, outage: "+outage))
		_, err := c.ShouldRateLimit(t.Context(), request("edge", "address=x"))
		assert.Equal(t, want, status.Code(err), outage)
	}
}

// Whose caller does not wait any longer gets the context's error.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), parse(t, edge))
	require.NoError(t, err)
	_, err = newService(m).ShouldRateLimit(ctx, request("edge", "address=x"))
	assert.Equal(t, codes.Canceled, status.Code(err))
}

// A new policy counts at the next call.
func TestSwap(t *testing.T) {
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), parse(t, edge))
	require.NoError(t, err)
	c := serve(t, newService(m))
	assert.EqualValues(t, 2, ask(t, c, request("edge", "address=x")).GetStatuses()[0].GetLimitRemaining())
	require.NoError(t, m.Swap(parse(t, strings.ReplaceAll(edge, "rate: 3/6h", "rate: 30/6h"))))
	assert.EqualValues(t, 28, ask(t, c, request("edge", "address=x")).GetStatuses()[0].GetLimitRemaining(), "what was spent is")
}
