package status_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// bubble is a page in virtual time, asked without a server.
func bubble(t *testing.T, n *fake, c status.Config) (p *status.Page, visit func(user string, times int), report func() status.Report) {
	p = status.Handler(n, c)
	t.Cleanup(p.Close)
	guard, err := middleware.New(n, middleware.Policy{OnDecision: p.OnDecision,
		Default: []middleware.Rule{{Name: "login", Limit: limiter.Per(1_000_000, time.Hour), Key: middleware.Header("X-User")}}})
	require.NoError(t, err)
	l := &lab{t: t, page: p, guard: guard}
	return p, l.visit, func() (r status.Report) {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?format=json", nil))
		unmarshal(t, w.Body.Bytes(), &r)
		return r
	}
}

func byName(all []status.Series) map[string]status.Series {
	m := map[string]status.Series{}
	for _, s := range all {
		m[s.Name] = s
	}
	return m
}

// What happens is told by the second, over five minutes and no longer, whoever asks in between.
func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFake()
		p, visit, report := bubble(t, n, status.Config{})
		for range 400 {
			visit("alice", 10)
			n.mu.Lock()
			n.stats.Forwarded += 20
			n.mu.Unlock()
			time.Sleep(time.Second)
			synctest.Wait()
			report()
		}
		r := report()
		held, forwarded := byName(r.Decisions)["held"], byName(r.Takes)["forwarded"]
		assert.InDelta(t, 10, held.Now, 0.5)
		assert.InDelta(t, 10, held.Mean, 0.1)
		assert.InDelta(t, 20, forwarded.Mean, 0.2)
		assert.InDelta(t, 150, len(held.PerSecond), 1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		r = report()
		assert.Zero(t, byName(r.Decisions)["held"].Now)
		assert.Positive(t, byName(r.Decisions)["held"].Mean)
		p.Close()
		p.Close()
		assert.NotEmpty(t, report().Decisions, "it answers after Close")
	})
}

// The lists are of the last 5 to 10 minutes.
func TestListsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, visit, report := bubble(t, newFake(), status.Config{})
		visit("alice", 7)
		for _, c := range []struct {
			after time.Duration
			total int64
		}{{time.Minute, 7}, {5 * time.Minute, 7}, {5 * time.Minute, 0}} {
			time.Sleep(c.after)
			synctest.Wait()
			r := report()
			assert.Equal(t, c.total, r.Taken.Total, "%v", c.after)
			require.Len(t, r.Taken.Keys, int(min(1, c.total)))
			if c.total > 0 {
				assert.Equal(t, c.total, r.Rules[0].Admitted)
			} else {
				assert.Empty(t, r.Rules)
			}
		}
	})
}

// However many subjects there are, the lists do not grow, and say by how much they may be wrong.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, visit, report := bubble(t, newFake(), status.Config{Keys: 10})
		visit("alice", 500)
		for i := range 1000 {
			p.OnDecision(middleware.Event{Rule: "login", KeyID: 1000 + uint64(i), Cost: 1})
			p.OnDecision(middleware.Event{Rule: "login", KeyID: 5, Verdict: middleware.Denied})
		}
		r := report()
		assert.EqualValues(t, 1500, r.Taken.Total)
		assert.LessOrEqual(t, r.Taken.ErrorMost, int64(150))
		assert.LessOrEqual(t, len(r.Taken.Keys), 10)
		assert.GreaterOrEqual(t, r.Taken.Keys[0].Count, int64(500))
		assert.LessOrEqual(t, r.Taken.Keys[0].Count-r.Taken.Keys[0].Error, int64(500))
		assert.EqualValues(t, 1000, r.Denied.Keys[0].Count)
		for i := range 2000 {
			p.OnDecision(middleware.Event{Rule: string(rune(0x4e00 + i)), KeyID: 1})
		}
		assert.LessOrEqual(t, len(report().Rules), 501)
	})
}
