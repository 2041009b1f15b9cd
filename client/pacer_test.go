package client

import (
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

func TestBudgetsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := &window{quota: 1, period: time.Minute}
		other := &window{quota: 100, period: time.Minute}
		tr := &Transport{Pace: PaceFail, Route: func(r *http.Request) string { return r.URL.Path },
			Base: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "api.test" && r.URL.Path == "/v1/token" {
					return token.RoundTrip(r)
				}
				return other.RoundTrip(r)
			})}
		get := func(url string) error {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			require.NoError(t, err)
			_, err = tr.RoundTrip(req)
			return err
		}
		require.NoError(t, get("http://api.test/v1/token"))
		require.Error(t, get("http://api.test/v1/token"))
		assert.NoError(t, get("http://api.test/v1/agents"), "another route")
		assert.NoError(t, get("http://else.test/v1/token"), "another host")
	})
}

func TestExemptAnswersDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &window{quota: 5, period: time.Minute}
		tr := &Transport{Base: server, Pace: PaceFail}
		require.NoError(t, storm(t.Context(), t, tr, 1)[0])
		for range 50 {
			req := request(t, t.Context(), "GET", "")
			req.URL.Path = "/exempt"
			_, err := tr.RoundTrip(req)
			require.NoError(t, err)
		}
		for range 4 {
			require.NoError(t, storm(t.Context(), t, tr, 1)[0])
		}
		assert.Error(t, storm(t.Context(), t, tr, 1)[0])
	})
}

func TestSlowFirstAnswerHoldsForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var times []time.Duration
		var mu sync.Mutex // guards times
		tr := &Transport{Pace: PaceWait, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			times = append(times, time.Since(start))
			mu.Unlock()
			time.Sleep(time.Minute)
			return respond(200, ""), nil
		})}
		require.NoError(t, errors.Join(storm(t.Context(), t, tr, 4)...))
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, times)
	})
}

func TestLostAnswersHoldNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		broken := errors.New("reset")
		calls := 0
		tr := &Transport{Pace: PaceWait, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			if calls++; calls%2 == 0 {
				panic("a bug in Base")
			}
			return nil, broken
		})}
		for i := range 6 {
			if i%2 == 1 {
				assert.Panics(t, func() { _ = storm1(t, tr) })
				continue
			}
			assert.ErrorIs(t, storm1(t, tr), broken)
		}
		assert.Equal(t, start, time.Now(), "each was sent at once")
	})
}

// storm1 sends one request on this goroutine.
func storm1(t *testing.T, tr *Transport) error {
	_, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
	return err
}

func TestPacerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		take := func(i int) pass {
			ps, held, err := p.admit(t.Context(), budgetKey{host: fmt.Sprint(i)}, &Transport{Pace: PaceWait}, time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.Zero(t, held)
			return ps
		}
		known := RateLimit{Remaining: 9, RemainingKnown: true, ResetAfter: time.Minute, ResetKnown: true}
		known.Received = time.Now()
		for i := range 3 * budgetsMax {
			ps := take(i)
			p.answer(ps, known, false)
		}
		assert.Len(t, p.budgets, budgetsMax, "idle ones make room")

		time.Sleep(time.Hour)
		take(-1)
		assert.Len(t, p.budgets, 1, "and all whose time is over go at once")

		for i := range budgetsMax - 1 {
			take(i)
		}
		assert.Equal(t, pass{}, take(budgetsMax), "all are in use: unpaced")
		p.answer(pass{}, known, false)
		p.lose(pass{})
		assert.Len(t, p.budgets, budgetsMax)
	})
}

// TestPaceRefillingBudget runs a token bucket: the reset is when it is full again,
// so it moves with every request.
func TestPaceRefillingBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst, interval = 10, time.Second
		var mu sync.Mutex // guards the two below
		full := time.Now()
		denied := 0
		tr := &Transport{Pace: PaceSpread, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			if full.Before(now) {
				full = now
			}
			if full.Add(interval).Sub(now) > burst*interval {
				denied++
				return respond(429, "", "Retry-After", "1"), nil
			}
			full = full.Add(interval)
			debt := full.Sub(now)
			return respond(200, "", "X-RateLimit-Limit", fmt.Sprint(burst),
				"X-RateLimit-Remaining", fmt.Sprint(int64((burst*interval-debt)/interval)),
				"X-RateLimit-Reset", fmt.Sprint(int64((debt+time.Second-1)/time.Second))), nil
		})}
		start := time.Now()
		require.NoError(t, errors.Join(storm(t.Context(), t, tr, 60)...))
		assert.Zero(t, denied)
		assert.Less(t, time.Since(start), 75*time.Second, "60 at one per second, less the burst")
	})
}
