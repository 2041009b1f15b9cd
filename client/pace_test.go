package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jittery is a latency that differs from request to request, so that answers
// overtake each other.
func jittery(n int) time.Duration {
	return time.Duration(n*7919%50) * time.Millisecond
}

// storm sends n requests at once and returns their errors.
func storm(ctx context.Context, t *testing.T, tr *Transport, n int) []error {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var resp *http.Response
			if resp, errs[i] = tr.RoundTrip(request(t, ctx, "GET", "")); errs[i] == nil && resp.StatusCode != 200 {
				errs[i] = fmt.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	return errs
}

func TestPacedStormIsNeverDenied(t *testing.T) {
	for _, pace := range []Pace{PaceWait, PaceSpread} {
		for name, latency := range map[string]func(int) time.Duration{"at once": nil, "jittery": jittery} {
			t.Run(fmt.Sprintf("%d %s", pace, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &window{quota: 20, period: 10 * time.Second, latency: latency}
					tr := &Transport{Base: server, Pace: pace, ErrorOnLimit: true}
					start := time.Now()
					for _, err := range storm(t.Context(), t, tr, 100) {
						require.NoError(t, err)
					}
					assert.Zero(t, server.denied)
					assert.Len(t, server.admitted, 100)
					took := time.Since(start)
					assert.GreaterOrEqual(t, took, 40*time.Second, "100 by 20 per 10 s")
					assert.Less(t, took, 65*time.Second, "and not much longer")
				})
			})
		}
	}
}

func TestUnpacedStormIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 20, period: 10 * time.Second}
		_ = storm(t.Context(), t, &Transport{Base: server, Retry: Retry{Attempts: 1}}, 100)
		assert.Equal(t, 80, server.denied, "which shows that the tests above test something")
	})
}

func TestSpreadIsEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 11, period: 10 * time.Second}
		tr := &Transport{Base: server, Pace: PaceSpread}
		start := time.Now()
		for _, err := range storm(t.Context(), t, tr, 11) {
			require.NoError(t, err)
		}
		for i := 1; i < len(server.admitted); i++ {
			assert.InDelta(t, 10.0/11, server.admitted[i].Sub(server.admitted[i-1]).Seconds(), 0.01, "gap %d", i)
		}

		// After a pause there is no debt to make up for, so no burst either.
		time.Sleep(time.Until(start.Add(75 * time.Second)))
		before := len(server.admitted)
		require.NoError(t, errors.Join(storm(t.Context(), t, tr, 4)...))
		for i := before + 1; i < len(server.admitted); i++ {
			assert.InDelta(t, 5.0/11, server.admitted[i].Sub(server.admitted[i-1]).Seconds(), 0.01, "gap %d", i)
		}
	})
}

func TestPaceWaitDoesNotSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 20, period: 10 * time.Second}
		start := time.Now()
		require.NoError(t, errors.Join(storm(t.Context(), t, &Transport{Base: server, Pace: PaceWait}, 20)...))
		assert.Equal(t, start, time.Now(), "what is there is sent at once")
	})
}

func TestPaceFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 3, period: 10 * time.Second}
		tr := &Transport{Base: server, Pace: PaceFail}
		start := time.Now()
		for range 3 {
			require.NoError(t, storm(t.Context(), t, tr, 1)[0])
		}
		err := storm(t.Context(), t, tr, 1)[0]
		held, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 0, held.StatusCode, "not sent")
		assert.Equal(t, 0, held.Attempts)
		assert.Equal(t, 10*time.Second, held.RetryAfter)
		assert.True(t, held.RetryAfterKnown)
		assert.Equal(t, "client: held back for 10s by pacing, not sent", held.Error())
		assert.Equal(t, start, time.Now(), "nobody waited")
		assert.Equal(t, 3, server.asked)

		time.Sleep(held.RetryAfter)
		assert.NoError(t, storm(t.Context(), t, tr, 1)[0], "who does as told is admitted")
	})
}

func TestHopelessWaitFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 5, period: time.Hour}
		for _, pace := range []Pace{PaceWait, PaceSpread} {
			tr := &Transport{Base: server, Pace: pace}
			start := time.Now()
			server.start, server.used = start, 4
			require.NoError(t, storm(t.Context(), t, tr, 1)[0])
			for _, err := range storm(t.Context(), t, tr, 10) {
				held, ok := errors.AsType[*RateLimitError](err)
				require.True(t, ok, "%v", err)
				assert.Greater(t, held.RetryAfter, DefaultTotal)
			}
			assert.Equal(t, start, time.Now())
		}
	})
}

func TestQueueKnowsItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 60, period: time.Minute}
		tr := &Transport{Base: server, Pace: PaceSpread}
		require.NoError(t, storm(t.Context(), t, tr, 1)[0])
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		failed := 0
		for _, err := range storm(ctx, t, tr, 30) {
			if err != nil {
				_, ok := errors.AsType[*RateLimitError](err)
				require.True(t, ok, "%v", err)
				failed++
			}
		}
		assert.Equal(t, 21, failed, "one a second: nine before 10 s, the rest is told at once")
		assert.Less(t, time.Since(start), 10*time.Second)
		assert.Len(t, server.admitted, 10)
	})
}

func TestCancelLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 2, period: time.Minute}
		tr := &Transport{Base: server, Pace: PaceWait}
		require.NoError(t, storm(t.Context(), t, tr, 1)[0])
		require.NoError(t, storm(t.Context(), t, tr, 1)[0])

		cause := errors.New("enough")
		first, cancel := context.WithCancelCause(t.Context())
		body := &endless{}
		var wg sync.WaitGroup
		wg.Go(func() {
			req := request(t, first, "POST", "")
			req.Body = body
			_, err := tr.RoundTrip(req)
			assert.ErrorIs(t, err, cause)
		})
		synctest.Wait()
		wg.Go(func() { assert.NoError(t, storm(t.Context(), t, tr, 1)[0], "the next in the queue moves up") })
		synctest.Wait()
		cancel(cause)
		wg.Wait()
		assert.True(t, body.closed.Load(), "a body that is not sent is closed all the same")
		assert.Equal(t, 3, server.asked)
		assert.Zero(t, server.denied)
	})
}

func TestDenialBlocksAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Somebody else spends from the same budget: the first request is denied.
		server := &window{quota: 10, period: 10 * time.Second}
		server.start, server.used = time.Now(), 10
		tr := &Transport{Base: server, Pace: PaceWait}
		require.NoError(t, errors.Join(storm(t.Context(), t, tr, 10)...))
		assert.Equal(t, 1, server.denied, "one was denied, the others waited with it")
	})
}
