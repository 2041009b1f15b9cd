package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What counts as a failure is given back or not by how the handler really ended.
func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		counts  bool
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, false},
		"write":           {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") }, false},
		"write string":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, false},
		"flush":           {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, false},
		"302":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }, false},
		"401":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, true},
		"the first status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			w.WriteHeader(200)
		}, true},
		"100 is not the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
		}, true},
		"panic":              {func(http.ResponseWriter, *http.Request) { panic("x") }, true},
		"abort":              {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"panic after 200":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("x") }, false},
		"read from a source": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			p := by(middleware.Key{})
			p.Default[0].Count = middleware.CountFailures
			var verdicts []middleware.Verdict
			p.OnDecision = func(e middleware.Event) { verdicts = append(verdicts, e.Verdict) }
			h := wrap(t, s, p, c.handler)
			func() {
				defer func() { _ = recover() }()
				get(h, "/")
			}()
			if c.counts {
				assert.Empty(t, s.gives)
				assert.Equal(t, []middleware.Verdict{middleware.Admitted}, verdicts)
			} else {
				require.Len(t, s.gives, 1)
				assert.Equal(t, s.takes[0], s.gives[0], "the very same key, limit and cost")
				assert.Equal(t, []middleware.Verdict{middleware.Admitted, middleware.Returned}, verdicts)
			}
		})
	}
}

// After the window has ended there is nothing to give back: it would be taken from what
// others spent since.
func TestNothingIsGivenBackAfterTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, gives := range map[time.Duration]int{59 * time.Second: 1, 60 * time.Second: 0, time.Hour: 0} {
			s := always(left(5), nil) // resets in a minute
			p := by(middleware.Key{})
			p.Default[0].Count = middleware.CountFailures
			get(wrap(t, s, p, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(wait) })), "/")
			assert.Len(t, s.gives, gives, wait)
		}
	})
}

func TestCountStatuses(t *testing.T) {
	count := middleware.CountStatuses(401, 403, -1, 5000)
	for status, want := range map[int]bool{401: true, 403: true, 200: false, 500: false, -1: false, 5000: false, 0: false} {
		assert.Equal(t, want, count(status), status)
	}
}

// Failures and successes together, from many at once: a failure is never admitted beyond the
// limit, however many successes hold a place meanwhile, and no success uses the limit up.
func TestOutcomesConcurrently(t *testing.T) {
	const quota = 20
	p := daily(quota)
	p.Default[0].Count = middleware.CountStatuses(http.StatusUnauthorized)
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrong" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	var failed, wrong atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 100 {
				target := "/right"
				if (worker+i)%4 == 0 {
					target = "/wrong"
				}
				switch code := get(h, target).Code; {
				case code == http.StatusUnauthorized:
					failed.Add(1)
				case code != http.StatusOK && code != http.StatusTooManyRequests:
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, wrong.Load())
	require.LessOrEqual(t, failed.Load(), int64(quota))
	// A failure that met only places held for a moment was refused; what is left is exact.
	for failed.Load() < quota {
		require.Equal(t, http.StatusOK, get(h, "/right").Code)
		require.Equal(t, http.StatusUnauthorized, get(h, "/wrong").Code)
		failed.Add(1)
	}
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/wrong").Code)
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/right").Code)
}

// A stack's answer may come after the window of one of its rules has ended. To give back then
// what was taken before would give away what others have taken since.
func TestStackedGivesNothingBackAfterTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(q asked) (limiter.Decision, error) {
			if ruleOf(q.key) == "quick" {
				return limiter.Decision{Allowed: true, Remaining: 4, ResetAfter: time.Second}, nil
			}
			time.Sleep(time.Second)
			return denied, nil
		}}
		p := middleware.Policy{Default: []middleware.Rule{perMinute("quick", 10), perMinute("slow", 10)}}
		assert.Equal(t, http.StatusTooManyRequests, get(wrap(t, s, p, teapot), "/").Code)
		assert.Empty(t, s.gives)
	})
}
