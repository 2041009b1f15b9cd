package grpclimit_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

func TestFiveRules(t *testing.T) {
	local := middlewaretest.FiveRules(t, "local", service, nodes.Local)
	if testing.Short() {
		t.Skip("three nodes start")
	}
	three := middlewaretest.FiveRules(t, "three nodes", service, nodes.Three(t))
	middlewaretest.Report(t, "testdata/rows.tsv", middlewaretest.Run{Over: "local", Rows: local}, middlewaretest.Run{Over: "three nodes", Rows: three})
}

// perHour is a rule by address.
func perHour(name string, quota int64) middleware.Rule {
	return middleware.Rule{Name: name, Limit: limiter.Per(quota, time.Hour)}
}

// guard is a Server over a limiter of this process.
func guard(t testing.TB, p middleware.Policy, o grpclimit.Options) *grpclimit.Server {
	t.Helper()
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	return grpclimit.New(m, o)
}

const list = "/weir.test.Shop/List"

// nothing is a handler that answers.
func nothing(context.Context, grpc.ServerStream) error { return nil }

// detail is one of an error's details.
func detail[T any](t *testing.T, err error) (found T) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if x, ok := d.(T); ok {
			return x
		}
	}
	require.Failf(t, "no such detail", "%T in %v", found, status.Convert(err).Details())
	return found
}

// A refusal has all that the error model has for one, under the request's own id.
func TestRefusal(t *testing.T) {
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{perHour("ip", 1)}}, grpclimit.Options{}), handlers{list: nothing})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "id-1")
	_, _, err := call(ctx, conn, list)
	require.NoError(t, err)
	header, trailer, err := call(ctx, conn, list)
	assert.Empty(t, header.Get("x-ratelimit-limit"), "headers would make the answer one that is not retried")
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.Regexp(t, `^Rate limit exceeded, retry in \d+ seconds$`, status.Convert(err).Message())
	violations := detail[*errdetails.QuotaFailure](t, err).GetViolations()
	require.Len(t, violations, 1)
	assert.Equal(t, "rule:ip", violations[0].GetSubject())
	assert.Equal(t, "id-1", detail[*errdetails.RequestInfo](t, err).GetRequestId())
	assert.Equal(t, "RATE_LIMIT_EXCEEDED", detail[*errdetails.ErrorInfo](t, err).GetReason())
	assert.Equal(t, []string{"id-1"}, trailer.Get("x-request-id"))
	assert.Empty(t, trailer.Get("cache-control"))
	wait, ok := grpclimit.RetryAfter(err)
	assert.True(t, ok)
	assert.Positive(t, wait)
}

// The limit of a customer's record counts for calls as well.
func TestLimitOf(t *testing.T) {
	r := perHour("customer", 1)
	r.Key = middleware.Header("X-Customer")
	r.LimitOf = func(r *http.Request) (limiter.Limit, bool) {
		return limiter.Per(2, time.Hour), r.Header.Get("X-Customer") == "large"
	}
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, grpclimit.Options{}), handlers{list: nothing})
	for customer, want := range map[string]int{"large": 2, "small": 1} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-customer", customer)
		for i := range want + 1 {
			_, _, err := call(ctx, conn, list)
			require.Equal(t, i == want, status.Code(err) == codes.ResourceExhausted, "%s: call %d of %d: %v", customer, i+1, want, err)
		}
	}
}

// What no wait makes acceptable is not retried, and a limiter that cannot decide is not the caller's fault.
func TestOtherRefusals(t *testing.T) {
	key := perHour("key", 5)
	key.Key, key.Absent = middleware.Header("X-Api-Key"), middleware.AbsentDeny
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{key}}, grpclimit.Options{}), handlers{list: nothing})
	_, trailer, err := call(t.Context(), conn, list)
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
	assert.Equal(t, []string{"-1"}, trailer.Get("grpc-retry-pushback-ms"))

	closed := perHour("ip", 5)
	closed.Outage = middleware.OutageClosed
	m, err := middleware.New(broken{}, middleware.Policy{Default: []middleware.Rule{closed}})
	require.NoError(t, err)
	conn = serve(t, grpclimit.New(m, grpclimit.Options{}), handlers{list: nothing})
	_, trailer, err = call(t.Context(), conn, list)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, []string{"1000"}, trailer.Get("grpc-retry-pushback-ms"))
}

// broken is a limiter out of order.
type broken struct{}

func (broken) Take(context.Context, string, limiter.Limit, int64) (limiter.Decision, error) {
	return limiter.Decision{}, errors.New("out of order")
}

func (broken) Give(context.Context, string, limiter.Limit, int64) error { return nil }

// gRPC's own retries come back when they are told to.
func TestPushback(t *testing.T) {
	r := middleware.Rule{Name: "bucket", Limit: limiter.Limit{Quota: 1, Window: time.Second, Algorithm: limiter.TokenBucket}}
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, grpclimit.Options{}), handlers{list: nothing},
		grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{"service":"weir.test.Shop"}],"retryPolicy":
			{"maxAttempts":2,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["RESOURCE_EXHAUSTED"]}}]}`))
	_, _, err := call(t.Context(), conn, list)
	require.NoError(t, err)
	began := time.Now()
	_, _, err = call(t.Context(), conn, list)
	require.NoError(t, err, "after a millisecond it would have been refused again")
	assert.Greater(t, time.Since(began), 900*time.Millisecond)
}

// By outcome: the code, a panic, and an error that is not of gRPC count as what the client gets.
func TestOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		fail func() error
		want int
	}{
		"ok":       {func() error { return nil }, 200},
		"code":     {func() error { return status.Error(codes.NotFound, "") }, 404},
		"error":    {func() error { return errors.New("plain") }, 500},
		"deadline": {func() error { return context.DeadlineExceeded }, 504},
		"panic":    {func() error { panic("handler") }, 500},
		"strange":  {func() error { return status.Error(99, "") }, 500},
	} {
		seen := make(chan int, 1)
		r := perHour("ip", 5)
		r.Count = func(status int) bool { seen <- status; return true }
		conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, grpclimit.Options{}),
			handlers{list: func(context.Context, grpc.ServerStream) error { return c.fail() }})
		_, _, _ = call(t.Context(), conn, list)
		assert.Equal(t, c.want, <-seen, name)
	}
}

// A stream is one call, whatever is said on it.
func TestStream(t *testing.T) {
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{perHour("ip", 2)}}, grpclimit.Options{}), handlers{"/weir.test.Shop/Talk": echo})
	for range 2 {
		came, _, err := talk(t.Context(), conn, 10)
		require.NoError(t, err)
		assert.Equal(t, 10, came)
	}
	_, trailer, err := talk(t.Context(), conn, 1)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.NotEmpty(t, trailer.Get("grpc-retry-pushback-ms"))
}

// By choice each message counts; the first is the call itself.
func TestStreamPerMessage(t *testing.T) {
	o := grpclimit.Options{PerMessage: func(method string) bool { return method == "/weir.test.Shop/Talk" }}
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{perHour("ip", 10)}}, o), handlers{"/weir.test.Shop/Talk": echo})
	came, _, err := talk(t.Context(), conn, 7)
	require.NoError(t, err)
	assert.Equal(t, 7, came)
	came, trailer, err := talk(t.Context(), conn, 7)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.Equal(t, 3, came)
	assert.NotEmpty(t, trailer.Get("grpc-retry-pushback-ms"))
}

// Of a stream whose messages count by outcome, those went well after which the handler went on.
func TestStreamOutcome(t *testing.T) {
	r := perHour("ip", 3)
	r.Count = middleware.CountFailures
	o := grpclimit.Options{PerMessage: func(string) bool { return true }}
	fail := errors.New("at the end")
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, o), handlers{"/weir.test.Shop/Talk": func(ctx context.Context, ss grpc.ServerStream) error {
		if err := echo(ctx, ss); err != nil {
			return err
		}
		return fail
	}})
	for range 3 {
		came, _, err := talk(t.Context(), conn, 10)
		require.Equal(t, codes.Unknown, status.Code(err))
		assert.Equal(t, 10, came, "nine of them were given back")
	}
	came, _, err := talk(t.Context(), conn, 1)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.Zero(t, came)
}

// Handlers see the decisions, and can ask a rule themselves.
func TestInside(t *testing.T) {
	user := perHour("user", 1)
	user.Count = middleware.CountFailures
	g := guard(t, middleware.Policy{InContext: true, Default: []middleware.Rule{perHour("ip", 50)}, Asked: []middleware.Rule{user}}, grpclimit.Options{})
	answer := func(ctx context.Context, _ grpc.ServerStream) (err error) {
		assert.Len(t, middleware.FromContext(ctx), 1)
		md, _ := metadata.FromIncomingContext(ctx)
		done, err := g.Allow(ctx, "user", md.Get("user")[0])
		if err != nil {
			return err
		}
		defer func() { done(err) }()
		if md.Get("user")[0] == "ann" {
			return status.Error(codes.Unauthenticated, "")
		}
		return nil
	}
	conn := serve(t, g, handlers{list: answer})
	for _, c := range []struct {
		user string
		code codes.Code
	}{{"ann", codes.Unauthenticated}, {"ann", codes.ResourceExhausted}, {"bob", codes.OK}, {"bob", codes.OK}} {
		_, _, err := call(metadata.AppendToOutgoingContext(t.Context(), "user", c.user), conn, list)
		assert.Equal(t, c.code, status.Code(err), c.user)
	}
}
