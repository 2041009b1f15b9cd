// Package prommetrics shows Prometheus what a node and its middleware do:
//
//	metrics := prommetrics.New(prommetrics.Config{Node: node})
//	policy.OnDecision = metrics.OnDecision
//	registry.MustRegister(metrics)
//
// Decisions are counted as they are made, by rule, outcome and path; all else is read from the
// node when Prometheus asks. No client is ever a label: the labels are names of the policy's
// rules, of which at most RulesMax are told apart, and few words of this package.
//
// dashboard.json is a dashboard for Grafana, and alerts.yaml has the alerts; docs/operating.md
// says what to do about each.
package prommetrics

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// RulesMax is how many names of rules have series of their own. Those of more, which policies
// made by a program may have over time, count as rule "other".
const RulesMax = 500

// Node is what a *cluster.Node tells.
type Node interface {
	Stats() cluster.Stats
	Ready() bool
	Overshoot(limiter.Limit) int64
}

// Config is the configuration of a Metrics. Its zero value counts decisions alone.
type Config struct {
	// Node is the node whose Stats are shown; nil shows none.
	Node Node
	// Labels are on all series, "node" for example; none is needed, since Prometheus labels
	// what it scrapes by where from.
	Labels prometheus.Labels
}

// Metrics is a prometheus.Collector. It is safe for concurrent use.
type Metrics struct {
	node  Node
	guard atomic.Pointer[middleware.Middleware]

	decisions *prometheus.CounterVec
	took      *prometheus.HistogramVec
	overshoot *prometheus.Desc
	ready     *prometheus.Desc
	build     *prometheus.Desc
	readings  []reading[cluster.Stats]
	guards    []reading[middleware.Stats]

	series sync.Map // from seriesKey to *series
	mu     sync.Mutex
	rules  map[string]*rule // guarded by mu
}

// seriesKey is what tells series of decisions apart.
type seriesKey struct {
	rule    string
	verdict middleware.Verdict
	path    limiter.Path
	shadow  bool
	decided bool
}

type series struct {
	count prometheus.Counter
	took  prometheus.Observer // nil if what it counts has waited before
	rule  *rule
}

// rule is what is known of a rule's limit: the largest one since the last scrape, and that of
// the time before.
type rule struct {
	largest atomic.Pointer[limiter.Limit]
	shown   *limiter.Limit // guarded by Metrics.mu
}

// New makes the metrics. Register them with one registry.
func New(c Config) *Metrics {
	m := &Metrics{node: c.Node, rules: map[string]*rule{}, readings: ofNode(c.Labels), guards: ofGuard(c.Labels)}
	m.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_decisions_total", ConstLabels: c.Labels,
		Help: "Decisions by rule, mode (enforce, shadow), outcome (admitted, denied, returned, ...) and path (held, forwarded, leased, remembered, degraded, none).",
	}, []string{"rule", "mode", "outcome", "path"})
	m.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "weir_decision_duration_seconds", ConstLabels: c.Labels,
		Help:                           "How long requests waited for the decisions of all their rules, by the path of each.",
		Buckets:                        []float64{.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3},
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"path"})
	m.overshoot = prometheus.NewDesc("weir_overshoot_bound", "By how much more than its limit a budget of the rule could be admitted in the whole cluster right now.",
		[]string{"rule"}, c.Labels)
	m.ready = prometheus.NewDesc("weir_ready", "1 if requests should come to this node.", nil, c.Labels)
	version := prometheus.Labels{"version": cluster.Version, "wire": cluster.Wire}
	maps.Copy(version, c.Labels)
	m.build = prometheus.NewDesc("weir_build_info", "1, with the version of weir and that of what its nodes say to each other.", nil, version)
	return m
}

// Guard shows the middleware's own counters as well. It may be called later than New, since
// the middleware's policy is what has OnDecision.
func (m *Metrics) Guard(g *middleware.Middleware) { m.guard.Store(g) }

// OnDecision counts a decision; it is for middleware.Policy.OnDecision.
func (m *Metrics) OnDecision(e middleware.Event) {
	k := seriesKey{e.Rule, e.Verdict, e.Path, e.Shadow, decided(&e)}
	found, ok := m.series.Load(k)
	if !ok {
		found = m.begin(k)
	}
	s := found.(*series)
	s.count.Inc()
	if s.took != nil {
		s.took.Observe(e.Took.Seconds())
	}
	if most := s.rule.largest.Load(); most == nil || most.Capacity() < e.Limit.Capacity() {
		l := e.Limit
		s.rule.largest.CompareAndSwap(most, &l) // who loses was counted at the same moment
	}
}

// decided says whether the event's path means something.
func decided(e *middleware.Event) bool {
	switch e.Verdict {
	case middleware.KeyMissing, middleware.Canceled, middleware.Blocked:
		return false
	}
	return e.Err == nil || e.Decision != limiter.Decision{}
}

// begin makes the series of a key.
func (m *Metrics) begin(k seriesKey) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := k.rule
	r := m.rules[name]
	if r == nil {
		if len(m.rules) >= RulesMax {
			name = "other"
		}
		if r = m.rules[name]; r == nil {
			r = new(rule)
			m.rules[name] = r
		}
	}
	mode, path := "enforce", "none"
	if k.shadow {
		mode = "shadow"
	}
	if k.decided {
		path = k.path.String()
	}
	s := &series{count: m.decisions.WithLabelValues(name, mode, k.verdict.String(), path), rule: r}
	if k.decided && k.verdict != middleware.Returned {
		s.took = m.took.WithLabelValues(path)
	}
	if name != k.rule {
		return s // what has no end is not remembered
	}
	found, _ := m.series.LoadOrStore(k, s)
	return found
}
