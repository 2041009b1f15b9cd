package envoylimit

import (
	"time"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What a request may have at most: it comes from a proxy, but what is in it from its clients.
const (
	descriptorsMax = 64
	entriesMax     = 64 // of each descriptor
)

// callOf is a request as the policy sees it.
func callOf(r *rls.RateLimitRequest) (c middleware.Call, err error) {
	switch n := len(r.GetDescriptors()); {
	case r.GetDomain() == "":
		return c, invalid("domain is empty")
	case n == 0:
		return c, invalid("descriptors is empty")
	case n > descriptorsMax:
		return c, status.Errorf(codes.InvalidArgument, "descriptors has %d elements, more than %d", n, descriptorsMax)
	}
	c.Domain, c.Descriptors = r.GetDomain(), make([]middleware.Descriptor, len(r.GetDescriptors()))
	for i, d := range r.GetDescriptors() {
		if err := describe(&c.Descriptors[i], d, r.GetHitsAddend()); err != nil {
			return c, err
		}
	}
	return c, nil
}

// describe fills one descriptor. hits are those of the whole request, 0 for one.
func describe(to *middleware.Descriptor, d *common.RateLimitDescriptor, hits uint32) error {
	switch n := len(d.GetEntries()); {
	case n == 0:
		return invalid("descriptors: entries is empty")
	case n > entriesMax:
		return status.Errorf(codes.InvalidArgument, "descriptors: entries has %d elements, more than %d", n, entriesMax)
	case d.GetIsNegativeHits():
		return invalid("descriptors: is_negative_hits is not supported")
	}
	to.Entries = make([]middleware.Entry, len(d.GetEntries()))
	for i, e := range d.GetEntries() {
		to.Entries[i] = middleware.Entry{Key: e.GetKey(), Value: e.GetValue()}
	}
	switch own := d.GetHitsAddend(); {
	case own != nil:
		to.Cost, to.Look = int64(min(own.GetValue(), limiter.MaxQuota+1)), own.GetValue() == 0
	default:
		to.Cost = int64(hits)
	}
	if o := d.GetLimit(); o != nil {
		l, err := limitOf(o)
		to.Limit = &l
		return err
	}
	return nil
}

// limitOf is the limit that a descriptor brings itself. One that is larger than there can be is the
// largest.
func limitOf(o *common.RateLimitDescriptor_RateLimitOverride) (limiter.Limit, error) {
	l := limiter.Limit{Quota: min(int64(o.GetRequestsPerUnit()), limiter.MaxQuota)}
	n := multiplier(o.GetUnitMultiplier())
	switch unit := o.GetUnit(); {
	case unit == types.RateLimitUnit_MONTH && n == 1:
		l.Align = limiter.AlignMonth
	case lengths[unit] == 0 || n < 1 || n > int64(limiter.MaxWindow/lengths[unit]):
		return l, status.Errorf(codes.InvalidArgument, "descriptors: limit: %d times the unit %v is no window", n, unit)
	default:
		l.Window = time.Duration(n) * lengths[unit]
	}
	return l, nil
}

// multiplier is 1 where there is none.
func multiplier(m *wrapperspb.UInt32Value) int64 {
	if m == nil {
		return 1
	}
	return int64(m.GetValue())
}

const day = 24 * time.Hour

// lengths are those of the units that are always equally long, and of years.
var lengths = map[types.RateLimitUnit]time.Duration{
	types.RateLimitUnit_SECOND: time.Second,
	types.RateLimitUnit_MINUTE: time.Minute,
	types.RateLimitUnit_HOUR:   time.Hour,
	types.RateLimitUnit_DAY:    day,
	types.RateLimitUnit_YEAR:   365 * day,
}

// currentLimit is a limit as proxies are told of it: in the largest unit that fits, of which it may
// be several. A window that none fits has an unknown unit.
func currentLimit(rule string, l limiter.Limit) *rls.RateLimitResponse_RateLimit {
	c := &rls.RateLimitResponse_RateLimit{Name: rule, RequestsPerUnit: uint32(l.Quota)}
	switch l.Align {
	case limiter.AlignDay:
		c.Unit = rls.RateLimitResponse_RateLimit_DAY
		return c
	case limiter.AlignWeek:
		c.Unit = rls.RateLimitResponse_RateLimit_WEEK
		return c
	case limiter.AlignMonth:
		c.Unit = rls.RateLimitResponse_RateLimit_MONTH
		return c
	}
	for _, u := range []struct {
		unit   rls.RateLimitResponse_RateLimit_Unit
		length time.Duration
	}{
		{rls.RateLimitResponse_RateLimit_YEAR, 365 * day},
		{rls.RateLimitResponse_RateLimit_WEEK, 7 * day},
		{rls.RateLimitResponse_RateLimit_DAY, day},
		{rls.RateLimitResponse_RateLimit_HOUR, time.Hour},
		{rls.RateLimitResponse_RateLimit_MINUTE, time.Minute},
		{rls.RateLimitResponse_RateLimit_SECOND, time.Second},
	} {
		if n := l.Window / u.length; n > 0 && l.Window%u.length == 0 {
			if c.Unit = u.unit; n > 1 {
				c.UnitMultiplier = wrapperspb.UInt32(uint32(n))
			}
			return c
		}
	}
	return c
}

func invalid(what string) error { return status.Error(codes.InvalidArgument, what) }
