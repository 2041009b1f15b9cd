package grpclimit

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Client makes unary calls wait as the server tells them: its method Unary is an interceptor.
// A call that was refused with RESOURCE_EXHAUSTED, and with RetryInfo or grpc-retry-pushback-ms,
// is made again after that wait; any other error is the caller's. The zero value is fine.
// Where gRPC's own retries are configured for that code, Client is not needed.
type Client struct {
	// Attempts is how often a call is made at most; 0 means 3, 1 never again.
	Attempts int
	// MaxWait is the longest wait that is waited, all of a call's together; 0 means 30 s. A wait
	// that goes beyond it, or beyond the context's deadline, is not begun.
	MaxWait time.Duration
}

// Unary is a [grpc.UnaryClientInterceptor].
func (c Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	attempts, left := c.Attempts, c.MaxWait
	if attempts <= 0 {
		attempts = 3
	}
	if left <= 0 {
		left = 30 * time.Second
	}
	for try := 1; ; try++ {
		var trailer metadata.MD
		err := invoke(ctx, method, req, reply, cc, append(opts[:len(opts):len(opts)], grpc.Trailer(&trailer))...)
		wait, again := again(err, trailer)
		if !again || try >= attempts {
			return err
		}
		// Not all who were told the same come back in the same instant.
		wait += rand.N(wait/10 + 10*time.Millisecond)
		if deadline, ok := ctx.Deadline(); wait > left || ok && wait >= time.Until(deadline) {
			return err
		}
		left -= wait
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// again reports whether a call may be made again, and after how long.
func again(err error, trailer metadata.MD) (time.Duration, bool) {
	if status.Code(err) != codes.ResourceExhausted {
		return 0, false
	}
	wait, told := retryAfter(err)
	pushed, never, ok := pushedBack(trailer)
	return max(wait, pushed), (told || ok) && !never
}

// sleep waits; false if the context is over first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// RetryAfter is how long a server's error says to wait, by its RetryInfo. ok is false where it says
// nothing: a wait does not help then.
func RetryAfter(err error) (wait time.Duration, ok bool) { return retryAfter(err) }
