package prommetrics

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// reading is one number of some Stats.
type reading[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *S) float64
}

type readings[S any] struct {
	labels prometheus.Labels
	all    []reading[S]
}

func (r *readings[S]) add(kind prometheus.ValueType, name, help string, read func(s *S) float64) {
	r.all = append(r.all, reading[S]{prometheus.NewDesc("weir_"+name, help, nil, r.labels), kind, read})
}

func (r *readings[S]) count(name, help string, read func(s *S) int64) {
	r.add(prometheus.CounterValue, name, help, func(s *S) float64 { return float64(read(s)) })
}

// part counts one kind, or one reason, of what a counter counts.
func (r *readings[S]) part(name, help, label, value string, read func(s *S) int64) {
	labels := prometheus.Labels{label: value}
	maps.Copy(labels, r.labels)
	desc := prometheus.NewDesc("weir_"+name, help, nil, labels)
	r.all = append(r.all, reading[S]{desc, prometheus.CounterValue, func(s *S) float64 { return float64(read(s)) }})
}

func (r *readings[S]) gauge(name, help string, read func(s *S) float64) {
	r.add(prometheus.GaugeValue, name, help, read)
}

// ofNode is what a node tells, in the order of cluster.Stats.
func ofNode(labels prometheus.Labels) []reading[cluster.Stats] {
	type S = cluster.Stats
	r := &readings[S]{labels: labels}
	refused := func(what string, read func(s *S) int64) {
		r.part("refused_total", "What members said that cannot be so, and that changed nothing.", "what", what, read)
	}
	turnedAway := func(reason string, read func(s *S) int64) {
		r.part("turned_away_total", "Connections and packets that the node did not let in, by reason.", "reason", reason, read)
	}
	r.gauge("keys", "Slots held: own budgets, copies of others', and notes.", func(s *S) float64 { return float64(s.Keys) })
	r.gauge("ledger_bytes", "Memory of the tables that hold the slots.", func(s *S) float64 { return float64(s.Bytes) })
	r.count("evictions_total", "Live budgets forgotten because MaxKeys was reached.", func(s *S) int64 { return s.Evicted })
	r.count("copies_dropped_total", "Live copies forgotten or refused because MaxKeys was reached.", func(s *S) int64 { return s.CopiesDropped })
	r.count("lost_slots_total", "Own slots that ended before anybody else had them: counts that a crash would have lost for sure.", func(s *S) int64 { return s.LostSlots })
	r.gauge("members_live", "Members that this node sees, itself among them.", func(s *S) float64 { return float64(s.Live) })
	r.gauge("members_known", "Live members and those that vanished not long ago, or ExpectedNodes.", func(s *S) float64 { return float64(s.Known) })
	r.gauge("peers_unreachable", "Members that this node sees and that do not answer it.", func(s *S) float64 { return float64(s.Unreachable) })
	r.gauge("partitions_held", "Partitions that this node decides for.", func(s *S) float64 { return float64(s.Holding) })
	r.gauge("partitions_pending", "Partitions that this node owns and another still decides for.", func(s *S) float64 { return float64(s.Pending) })
	r.count("forwarded_takes_total", "Takes that began here and were another node's to decide.", func(s *S) int64 { return s.Forwarded })
	r.count("failovers_total", "Decisions made here although another node should have made them.", func(s *S) int64 { return s.Failovers })
	r.count("degraded_decisions_total", "Decisions made here without copies, or denied for want of a majority of the voters.", func(s *S) int64 { return s.Degraded })
	r.count("undone_takes_total", "Takes that were taken back elsewhere because their answers came too late.", func(s *S) int64 { return s.Undone })
	r.count("shipped_copies_total", "Copies that other nodes have acknowledged.", func(s *S) int64 { return s.Shipped })
	r.count("remembered_denials_total", "Denied here because the owner had denied a moment ago.", func(s *S) int64 { return s.Remembered })
	r.count("leased_takes_total", "Admitted here from a lease.", func(s *S) int64 { return s.Leased })
	r.gauge("leased_budgets", "Budgets of which other nodes lease a part from this one.", func(s *S) float64 { return float64(s.LeasedOut) })
	r.gauge("voter", "1 if this node is a voter and knows what it has to know for that.", func(s *S) float64 { return one(s.Votes) })
	r.gauge("voter_lists", "Different lists of voters that this node has seen, its own among them.", func(s *S) float64 { return float64(s.VoterLists) })
	r.gauge("ship_lag_seconds", "How long something has been waiting to be shipped.", func(s *S) float64 { return s.Behind.Seconds() })
	r.count("ring_changes_total", "How often the ring became another one.", func(s *S) int64 { return s.RingChanges })
	r.count("clock_steps_total", "Jumps of cluster time on this node.", func(s *S) int64 { return s.ClockSteps })
	r.gauge("clock_offset_seconds", "Cluster time less this node's wall clock.", func(s *S) float64 { return s.ClockOffset.Seconds() })
	refused("slots", func(s *S) int64 { return s.Refused.Slots })
	refused("origins", func(s *S) int64 { return s.Refused.Origins })
	refused("rosters", func(s *S) int64 { return s.Refused.Rosters })
	refused("clock_steps", func(s *S) int64 { return s.Refused.ClockSteps })
	refused("goodbyes", func(s *S) int64 { return s.Refused.Goodbyes })
	refused("completes", func(s *S) int64 { return s.Refused.Completes })
	r.gauge("calendar_offset_seconds", "The wall clock by which days, weeks and months begin, less this node's.", func(s *S) float64 { return s.WallOffset.Seconds() })
	turnedAway("not_allowed", func(s *S) int64 { return s.TurnedAway.NotAllowed })
	turnedAway("crowded", func(s *S) int64 { return s.TurnedAway.Crowded })
	turnedAway("silent", func(s *S) int64 { return s.TurnedAway.Silent })
	turnedAway("garbage", func(s *S) int64 { return s.TurnedAway.Garbage })
	turnedAway("wrong_secret", func(s *S) int64 { return s.TurnedAway.WrongSecret })
	turnedAway("refused", func(s *S) int64 { return s.TurnedAway.Refused })
	turnedAway("busy", func(s *S) int64 { return s.TurnedAway.Busy })
	turnedAway("bad_packet", func(s *S) int64 { return s.TurnedAway.BadPackets })
	turnedAway("replay", func(s *S) int64 { return s.TurnedAway.Replays })
	return r.all
}

// ofGuard is what a middleware tells.
func ofGuard(labels prometheus.Labels) []reading[middleware.Stats] {
	type S = middleware.Stats
	r := &readings[S]{labels: labels}
	r.count("failed_open_total", "Requests that passed without a decision.", func(s *S) int64 { return s.FailedOpen })
	r.count("local_decisions_total", "Requests that this process decided alone, as the limiter did not.", func(s *S) int64 { return s.Local })
	r.count("unavailable_total", "Requests refused with 503.", func(s *S) int64 { return s.Unavailable })
	r.count("lost_returns_total", "Costs that could not be given back.", func(s *S) int64 { return s.LostReturns })
	r.count("hook_panics_total", "Panics in OnDecision.", func(s *S) int64 { return s.HookPanics })
	return r.all
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.decisions.Describe(ch)
	m.took.Describe(ch)
	ch <- m.overshoot
	ch <- m.ready
	ch <- m.build
	for _, r := range m.readings {
		ch <- r.desc
	}
	for _, r := range m.guards {
		ch <- r.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.decisions.Collect(ch)
	m.took.Collect(ch)
	ch <- prometheus.MustNewConstMetric(m.build, prometheus.GaugeValue, 1)
	if m.node != nil {
		s := m.node.Stats()
		send(ch, m.readings, &s)
		ch <- prometheus.MustNewConstMetric(m.ready, prometheus.GaugeValue, one(m.node.Ready()))
		m.collectOvershoot(ch)
	}
	if g := m.guard.Load(); g != nil {
		s := g.Stats()
		send(ch, m.guards, &s)
	}
}

func send[S any](ch chan<- prometheus.Metric, all []reading[S], s *S) {
	for _, r := range all {
		ch <- prometheus.MustNewConstMetric(r.desc, r.kind, r.read(s))
	}
}

// collectOvershoot tells the bound of each rule by the largest limit that it had of late.
func (m *Metrics) collectOvershoot(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	limits := make(map[string]limiter.Limit, len(m.rules))
	for name, r := range m.rules {
		if l := r.largest.Swap(nil); l != nil {
			r.shown = l
		}
		if r.shown != nil {
			limits[name] = *r.shown
		}
	}
	m.mu.Unlock()
	for name, l := range limits {
		ch <- prometheus.MustNewConstMetric(m.overshoot, prometheus.GaugeValue, float64(m.node.Overshoot(l)), name)
	}
}
