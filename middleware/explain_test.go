package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What a request would meet is told without a trace: nothing is taken, nobody hears of it.
func TestExplainTakesNothing(t *testing.T) {
	heard := 0
	tight, blocked := perMinute("tight", 2), perMinute("blocked", 0)
	p := middleware.Policy{
		Always:     []middleware.Rule{perMinute("wide", 9)},
		Default:    []middleware.Rule{tight},
		Routes:     []middleware.Route{middleware.Exempt("/health"), middleware.On("/closed", blocked)},
		OnDecision: func(middleware.Event) { heard++ },
	}
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	h := m.Wrap(teapot)
	explain := func(path string) (verdicts []string, left []int64) {
		for _, e := range m.Explain(httptest.NewRequest("GET", path, nil)) {
			verdicts, left = append(verdicts, e.Rule+" "+e.Verdict.String()), append(left, e.Decision.Remaining)
		}
		return verdicts, left
	}
	for range 3 {
		v, left := explain("/")
		assert.Equal(t, []string{"wide returned", "tight returned"}, v)
		assert.Equal(t, []int64{8, 1}, left, "after this one")
	}
	assert.Zero(t, heard)
	hit(t, h)
	hit(t, h)
	v, _ := explain("/")
	assert.Equal(t, []string{"wide returned", "tight denied"}, v)
	v, _ = explain("/health")
	assert.Empty(t, v)
	v, _ = explain("/closed")
	assert.Equal(t, []string{"wide returned", "blocked blocked"}, v)
	assert.Equal(t, 4, heard, "of the two requests")
}

// A subject's budgets are told, with the ban and its rest.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := middleware.Policy{Routes: []middleware.Route{middleware.On("/", banning())}, Default: []middleware.Rule{perMinute("none", 0)}}
		m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
		require.NoError(t, err)
		look := func() map[string]middleware.Look {
			all, err := m.Look(t.Context(), "login", "192.0.2.1")
			require.NoError(t, err)
			by := map[string]middleware.Look{}
			for _, l := range all {
				by[l.Of] = l
			}
			require.Len(t, by, 4)
			return by
		}
		for range 2 {
			for what, l := range look() {
				assert.False(t, l.Refuses, what)
				assert.Equal(t, l.Limit.Capacity(), l.Decision.Remaining, what)
			}
		}
		h := m.Wrap(teapot)
		for range 7 {
			hit(t, h)
		}
		status, wait := hit(t, h)
		require.Equal(t, http.StatusTooManyRequests, status)
		by := look()
		assert.True(t, by["rule"].Refuses)
		assert.Positive(t, by["rule"].Wait)
		assert.True(t, by["ban"].Refuses)
		assert.InDelta(t, wait.Seconds(), by["ban"].Wait.Seconds(), 1)
		assert.False(t, by["strikes"].Refuses)

		none, err := m.Look(t.Context(), "none", "x")
		require.NoError(t, err)
		assert.True(t, none[0].Refuses)
		assert.Equal(t, time.Duration(0), none[0].Wait)
		_, err = m.Look(t.Context(), "nobody", "x")
		assert.ErrorIs(t, err, middleware.ErrRule)
	})
}
