package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Reset lifts a ban and makes the rule's budget whole, at once where it is called.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := middleware.Policy{Namespace: "shop", Routes: []middleware.Route{middleware.On("/", banning())}}
		m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
		require.NoError(t, err)
		h := m.Wrap(teapot)
		for range 3 {
			for range 7 {
				hit(t, h)
			}
			status, _ := hit(t, h)
			require.Equal(t, http.StatusTooManyRequests, status)
			require.NoError(t, m.Reset(t.Context(), "login", "192.0.2.2"), "of somebody else")
			status, _ = hit(t, h)
			require.Equal(t, http.StatusTooManyRequests, status)
			require.NoError(t, m.Reset(t.Context(), "login", "192.0.2.1"))
			status, _ = hit(t, h)
			require.Equal(t, http.StatusTeapot, status)
		}
		assert.ErrorIs(t, m.Reset(t.Context(), "nobody", "192.0.2.1"), middleware.ErrRule)
	})
}

// noReset is a limiter without Reset.
type noReset struct{ middleware.Limiter }

func TestResetOfWhatCannot(t *testing.T) {
	m, err := middleware.New(noReset{limiter.NewLocal(limiter.Config{})}, middleware.Policy{Default: []middleware.Rule{perMinute("r", 1)}})
	require.NoError(t, err)
	assert.ErrorIs(t, m.Reset(t.Context(), "r", "192.0.2.1"), middleware.ErrReset)
}
