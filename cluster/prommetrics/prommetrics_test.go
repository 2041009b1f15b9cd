package prommetrics_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/prommetrics"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// guarded is a node with a policy, and its metrics in a registry.
func guarded(t testing.TB, policy middleware.Policy) (http.Handler, *prommetrics.Metrics, *prometheus.Registry) {
	t.Helper()
	node, err := cluster.Start(t.Context(), cluster.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(node.Close)
	m, registry := prommetrics.New(prommetrics.Config{Node: node}), prometheus.NewPedanticRegistry()
	policy.OnDecision = m.OnDecision
	guard, err := middleware.New(node, policy)
	require.NoError(t, err)
	m.Guard(guard)
	registry.MustRegister(m)
	return guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), m, registry
}

func request(h http.Handler, from string) int {
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.RemoteAddr = from + ":1234"
	h.ServeHTTP(w, r)
	return w.Code
}

var policy = middleware.Policy{Default: []middleware.Rule{
	{Name: "all", Limit: limiter.Per(2, 24*time.Hour)},
	{Name: "trial", Limit: limiter.Per(1, 24*time.Hour), Shadow: true},
}}

// Each decision is counted once, and a request's wait once for each rule.
func TestDecisionsAreCounted(t *testing.T) {
	h, _, registry := guarded(t, policy)
	for range 3 {
		request(h, "203.0.113.9")
	}
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP weir_decisions_total Decisions by rule, mode (enforce, shadow), outcome (admitted, denied, returned, ...) and path (held, forwarded, leased, remembered, degraded, none).
# TYPE weir_decisions_total counter
weir_decisions_total{mode="enforce",outcome="admitted",path="held",rule="all"} 2
weir_decisions_total{mode="enforce",outcome="denied",path="held",rule="all"} 1
weir_decisions_total{mode="shadow",outcome="admitted",path="held",rule="trial"} 1
weir_decisions_total{mode="shadow",outcome="denied",path="held",rule="trial"} 2
`), "weir_decisions_total"))
	for _, f := range gather(t, registry) {
		if f.GetName() != "weir_decision_duration_seconds" {
			continue
		}
		x := f.GetMetric()[0].GetHistogram()
		require.EqualValues(t, 6, x.GetSampleCount())
		require.Len(t, x.GetBucket(), 12, "classic")
		require.NotEmpty(t, x.GetPositiveSpan(), "native")
		return
	}
	require.Fail(t, "no histogram")
}

func gather(t testing.TB, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	all, err := g.Gather()
	require.NoError(t, err)
	return all
}

// No client is in what Prometheus gets: labels are a rule's name and words of this package.
func TestNoClientIsALabel(t *testing.T) {
	p := policy
	p.RevealKeys = true
	h, _, registry := guarded(t, p)
	for i := range 50 {
		request(h, fmt.Sprintf("203.0.113.%d", i))
	}
	may := map[string][]string{
		"rule": {"all", "trial"}, "mode": {"enforce", "shadow"}, "outcome": {"admitted", "denied"}, "path": {"held"},
		"what":    {"slots", "completes", "goodbyes", "clock_steps", "rosters", "origins"},
		"version": {cluster.Version}, "wire": {cluster.Wire},
		"reason": {"not_allowed", "crowded", "silent", "garbage", "wrong_secret", "refused", "busy", "bad_packet", "replay"},
	}
	for _, f := range gather(t, registry) {
		require.LessOrEqual(t, len(f.GetMetric()), 9, f.GetName())
		for _, x := range f.GetMetric() {
			for _, l := range x.GetLabel() {
				require.Contains(t, may, l.GetName(), f.GetName())
				require.Contains(t, may[l.GetName()], l.GetValue(), f.GetName())
			}
		}
	}
}

// However many names of rules come, the series have an end.
func TestRulesHaveAnEnd(t *testing.T) {
	m, registry := prommetrics.New(prommetrics.Config{}), prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	for i := range 2 * prommetrics.RulesMax {
		m.OnDecision(middleware.Event{Rule: fmt.Sprint("rule", i), Limit: limiter.Per(1, time.Minute)})
	}
	n, err := testutil.GatherAndCount(registry, "weir_decisions_total")
	require.NoError(t, err)
	require.Equal(t, prommetrics.RulesMax+1, n)
}

// What has no decision has no path, and does not count as a wait.
func TestNoDecisionNoPath(t *testing.T) {
	m, registry := prommetrics.New(prommetrics.Config{}), prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	for _, v := range []middleware.Verdict{middleware.KeyMissing, middleware.Canceled, middleware.Blocked} {
		m.OnDecision(middleware.Event{Rule: "r", Verdict: v})
	}
	m.OnDecision(middleware.Event{Rule: "r", Verdict: middleware.Open, Err: context.DeadlineExceeded})
	for _, f := range gather(t, registry) {
		if f.GetName() == "weir_build_info" {
			continue
		}
		require.Equal(t, "weir_decisions_total", f.GetName())
		for _, x := range f.GetMetric() {
			require.True(t, slices.ContainsFunc(x.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "path" && l.GetValue() == "none" }))
		}
	}
}

// A node's bound is told for each rule, by the largest limit of late.
func TestOvershootOfEachRule(t *testing.T) {
	m, registry := prommetrics.New(prommetrics.Config{Node: torn{}}), prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	for _, quota := range []int64{5, 30, 20} {
		m.OnDecision(middleware.Event{Rule: "r", Limit: limiter.Per(quota, time.Minute)})
	}
	bound := func(want int) {
		t.Helper()
		require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP weir_overshoot_bound By how much more than its limit a budget of the rule could be admitted in the whole cluster right now.
# TYPE weir_overshoot_bound gauge
weir_overshoot_bound{rule="r"} %d
`, want)), "weir_overshoot_bound"))
	}
	bound(60)
	m.OnDecision(middleware.Event{Rule: "r", Limit: limiter.Per(7, time.Minute)})
	bound(14)
	bound(14)
}

// torn is a node that sees two others missing.
type torn struct{}

func (torn) Stats() cluster.Stats            { return cluster.Stats{} }
func (torn) Ready() bool                     { return true }
func (torn) Overshoot(l limiter.Limit) int64 { return 2 * l.Capacity() }

// What was not let in is told by reason, and by which version.
func TestTurnedAwayByReason(t *testing.T) {
	m, registry := prommetrics.New(prommetrics.Config{Node: besieged{}, Labels: prometheus.Labels{"node": "a"}}), prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP weir_build_info 1, with the version of weir and that of what its nodes say to each other.
# TYPE weir_build_info gauge
weir_build_info{node="a",version=%q,wire=%q} 1
# HELP weir_turned_away_total Connections and packets that the node did not let in, by reason.
# TYPE weir_turned_away_total counter
weir_turned_away_total{node="a",reason="bad_packet"} 8
weir_turned_away_total{node="a",reason="busy"} 7
weir_turned_away_total{node="a",reason="crowded"} 2
weir_turned_away_total{node="a",reason="garbage"} 4
weir_turned_away_total{node="a",reason="not_allowed"} 1
weir_turned_away_total{node="a",reason="refused"} 6
weir_turned_away_total{node="a",reason="replay"} 9
weir_turned_away_total{node="a",reason="silent"} 3
weir_turned_away_total{node="a",reason="wrong_secret"} 5
`, cluster.Version, cluster.Wire)), "weir_build_info", "weir_turned_away_total"))
}

// besieged is a node that turns away for every reason.
type besieged struct{ torn }

func (besieged) Stats() cluster.Stats {
	return cluster.Stats{TurnedAway: cluster.TurnedAway{NotAllowed: 1, Crowded: 2, Silent: 3, Garbage: 4, WrongSecret: 5, Refused: 6, Busy: 7, BadPackets: 8, Replays: 9}}
}

// Prometheus' own tool finds nothing to say about the names, units and texts.
func TestPromtoolCheckMetrics(t *testing.T) {
	h, _, registry := guarded(t, policy)
	request(h, "203.0.113.9")
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	out, err := promtool(t, w.Body.Bytes(), "check", "metrics")
	require.NoError(t, err, out)
	require.Empty(t, out)
}

// promtool runs Debian's promtool, or skips where there is none and none is required.
func promtool(t *testing.T, in []byte, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil && os.Getenv("WEIR_REQUIRE_PROMETHEUS") == "" {
		t.Skip("no promtool: apt-get install prometheus")
	}
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
