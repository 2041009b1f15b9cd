package grpclimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
)

// limited is a server's refusal that says to wait.
func limited(wait time.Duration) error {
	st, _ := status.New(codes.ResourceExhausted, "no").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	return st.Err()
}

// A client waits at least as long as it is told, not much longer, and never where that is no use.
func TestClientWaits(t *testing.T) {
	plain := status.Error(codes.ResourceExhausted, "of the handler's own")
	for name, c := range map[string]struct {
		client   grpclimit.Client
		answers  []error
		deadline time.Duration
		calls    int
		waited   time.Duration
		want     error
	}{
		"admitted after one wait":  {answers: []error{limited(2 * time.Second), nil}, calls: 2, waited: 2 * time.Second},
		"three attempts":           {answers: []error{limited(time.Second), limited(time.Second), limited(time.Second), nil}, calls: 3, waited: 2 * time.Second, want: limited(time.Second)},
		"as many as said":          {client: grpclimit.Client{Attempts: 1}, answers: []error{limited(time.Second), nil}, calls: 1, want: limited(time.Second)},
		"too long a wait":          {answers: []error{limited(time.Minute), nil}, calls: 1, want: limited(time.Minute)},
		"too long together":        {client: grpclimit.Client{MaxWait: 3 * time.Second}, answers: []error{limited(2 * time.Second), limited(2 * time.Second), nil}, calls: 2, waited: 2 * time.Second, want: limited(2 * time.Second)},
		"beyond the deadline":      {answers: []error{limited(5 * time.Second), nil}, deadline: 4 * time.Second, calls: 1, want: limited(5 * time.Second)},
		"nothing said about waits": {answers: []error{plain, nil}, calls: 1, want: plain},
		"another error":            {answers: []error{context.Canceled, nil}, calls: 1, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				calls, began := 0, time.Now()
				err := c.client.Unary(ctx, list, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
					calls++
					return c.answers[calls-1]
				})
				if c.want == nil {
					require.NoError(t, err)
				} else {
					assert.True(t, errors.Is(err, c.want) || status.Convert(err).String() == status.Convert(c.want).String(), "%v", err)
				}
				assert.Equal(t, c.calls, calls)
				assert.GreaterOrEqual(t, time.Since(began), c.waited)
				assert.Less(t, time.Since(began), c.waited*5/4+time.Second/10)
			})
		})
	}
}

// Whose context ends while it waits gets the server's answer, at once.
func TestClientCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		err := grpclimit.Client{}.Unary(ctx, list, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			return limited(10 * time.Second)
		})
		assert.Equal(t, codes.ResourceExhausted, status.Code(err))
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// Against a real server: what it says suffices.
func TestClientAndServer(t *testing.T) {
	r := middleware.Rule{Name: "bucket", Limit: limiter.Limit{Quota: 1, Window: time.Second, Algorithm: limiter.TokenBucket}}
	conn := serve(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, grpclimit.Options{}), handlers{list: nothing},
		grpc.WithChainUnaryInterceptor(grpclimit.Client{Attempts: 2}.Unary))
	for range 3 {
		_, _, err := call(t.Context(), conn, list)
		require.NoError(t, err)
	}
}
