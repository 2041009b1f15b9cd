package integration

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// A node that has left or was closed, and a request that comes too late, are no way past a
// limit.
func TestNoDecisionIsNoWayPast(t *testing.T) {
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range []struct {
		name   string
		end    func(*cluster.Node)
		ctx    context.Context
		outage middleware.Outage
		passed int
		status int // of the others
	}{
		{"left", func(n *cluster.Node) { _ = n.Leave(context.Background()) }, t.Context(), middleware.OutageLocal, 2, 429},
		{"closed", (*cluster.Node).Close, t.Context(), middleware.OutageLocal, 2, 429},
		{"left, open by choice", func(n *cluster.Node) { _ = n.Leave(context.Background()) }, t.Context(), middleware.OutageOpen, 20, 0},
		{"closed, closed by choice", (*cluster.Node).Close, t.Context(), middleware.OutageClosed, 0, 503},
		{"too late", func(*cluster.Node) {}, late, middleware.OutageLocal, 0, 499},
		{"too late, open", func(*cluster.Node) {}, late, middleware.OutageOpen, 0, 499},
		{"too late, closed", func(*cluster.Node) {}, late, middleware.OutageClosed, 0, 503},
		{"too late and left", (*cluster.Node).Close, late, middleware.OutageLocal, 0, 499},
		{"in order", func(*cluster.Node) {}, t.Context(), middleware.OutageLocal, 2, 429},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, cluster.Config{Secret: []byte(secret)})
			r := middleware.Rule{Name: "r", Limit: limiter.Per(2, 24*time.Hour), Outage: c.outage}
			m, err := middleware.New(n, middleware.Policy{Default: []middleware.Rule{r}})
			require.NoError(t, err)
			passed := 0
			h := m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
			c.end(n)
			for range 20 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(c.ctx))
				if w.Code != http.StatusOK {
					assert.Equal(t, c.status, w.Code)
				}
			}
			assert.Equal(t, c.passed, passed)
		})
	}
}
