package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

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

// A rule that admits nothing but by plans, or by a function, has budgets and bans as any other.
func TestResetOfAQuotaOfZero(t *testing.T) {
	plans, of := banning(), banning()
	plans.Plan, plans.Plans = middleware.Header("X-Plan"), map[string]limiter.Limit{"pro": plans.Limit, "none": limiter.Per(0, time.Minute)}
	of.LimitOf = func(r *http.Request) (limiter.Limit, bool) {
		return limiter.Per(2, time.Minute), r.Header.Get("X-Plan") == "pro"
	}
	for name, r := range map[string]middleware.Rule{"plans": plans, "a function": of} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r.Limit.Quota = 0
				m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{r}})
				require.NoError(t, err)
				h := m.Wrap(teapot)
				status, _ := hit(t, h)
				require.Equal(t, http.StatusForbidden, status)
				for range 8 {
					status, _ = hit(t, h, set("X-Plan", "pro"))
				}
				require.Equal(t, http.StatusTooManyRequests, status)
				looks, err := m.Look(t.Context(), "login", "192.0.2.1")
				require.NoError(t, err)
				require.Len(t, looks, 4)
				assert.True(t, looks[0].Refuses && looks[1].Refuses && looks[1].Wait > time.Minute, "%+v", looks)
				require.NoError(t, m.Reset(t.Context(), "login", "192.0.2.1"))
				status, _ = hit(t, h, set("X-Plan", "pro"))
				assert.Equal(t, http.StatusTeapot, status)
			})
		})
	}
	nobody := banning()
	nobody.Limit.Quota = 0
	assert.Nil(t, middleware.Policy{Default: []middleware.Rule{nobody}}.Budgets("login", "192.0.2.1"))
}

// noReset is a limiter without Reset.
type noReset struct{ middleware.Limiter }

func TestResetOfWhatCannot(t *testing.T) {
	m, err := middleware.New(noReset{limiter.NewLocal(limiter.Config{})}, middleware.Policy{Default: []middleware.Rule{perMinute("r", 1)}})
	require.NoError(t, err)
	assert.ErrorIs(t, m.Reset(t.Context(), "r", "192.0.2.1"), middleware.ErrReset)
}
