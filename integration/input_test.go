package integration

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

var quiet = slog.New(slog.DiscardHandler)

// startNode starts a node in this process.
func startNode(t *testing.T, c cluster.Config) *cluster.Node {
	t.Helper()
	if c.Logger == nil {
		c.Logger = quiet
	}
	c.CallTimeout = calm
	n, err := cluster.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

// Bad arguments of a take get an error that names the field and the value, from every
// kind of limiter alike.
func TestBadTakes(t *testing.T) {
	for name, l := range map[string]middleware.Limiter{
		"local": limiter.NewLocal(limiter.Config{}),
		"node":  startNode(t, cluster.Config{Name: "a"}),
	} {
		good := limiter.Per(10, time.Minute)
		with := func(change func(*limiter.Limit)) limiter.Limit { l := good; change(&l); return l }
		for _, c := range []struct {
			key   string
			limit limiter.Limit
			cost  int64
			is    error
			says  []string
		}{
			{"k", limiter.Limit{}, 1, limiter.ErrLimit, []string{"Quota", "0"}},
			{"k", limiter.Per(0, time.Minute), 1, limiter.ErrLimit, []string{"Quota", "0"}},
			{"k", limiter.Per(-3, time.Minute), 1, limiter.ErrLimit, []string{"Quota", "-3"}},
			{"k", limiter.Per(1<<40, time.Minute), 1, limiter.ErrLimit, []string{"Quota", "1099511627776"}},
			{"k", limiter.Per(10, 0), 1, limiter.ErrLimit, []string{"Window", "0s"}},
			{"k", limiter.Per(10, time.Microsecond), 1, limiter.ErrLimit, []string{"Window", "1µs"}},
			{"k", limiter.Per(10, -time.Second), 1, limiter.ErrLimit, []string{"Window", "-1s"}},
			{"k", with(func(l *limiter.Limit) { l.Algorithm = 9 }), 1, limiter.ErrLimit, []string{"Algorithm", "9"}},
			{"k", with(func(l *limiter.Limit) { l.Split = 9 }), 1, limiter.ErrLimit, []string{"Split", "9"}},
			{"k", with(func(l *limiter.Limit) { l.Burst = 5 }), 1, limiter.ErrLimit, []string{"Burst", "5"}},
			{"k", good, -1, limiter.ErrCost, []string{"Cost", "-1"}},
			{"k", good, 11, limiter.ErrCost, []string{"Cost", "11", "10"}},
			{"", good, 1, limiter.ErrKey, []string{"key", "0 bytes"}},
			{strings.Repeat("k", 1025), good, 1, limiter.ErrKey, []string{"key", "1025 bytes"}},
		} {
			_, err := l.Take(t.Context(), c.key, c.limit, c.cost)
			assert.ErrorIs(t, err, c.is, "%s: %+v cost %d", name, c.limit, c.cost)
			assert.EqualError(t, l.Give(t.Context(), c.key, c.limit, c.cost), err.Error(), "%s: giving is no more lenient", name)
			for _, s := range c.says {
				assert.ErrorContains(t, err, s, name)
			}
		}
	}
}

// A Config that cannot be is refused, by field and value.
func TestBadConfigs(t *testing.T) {
	for field, c := range map[string]struct {
		config cluster.Config
		value  string
	}{
		"Name":          {cluster.Config{Name: strings.Repeat("n", 129)}, "nnn"},
		"Bind":          {cluster.Config{Bind: "localhost"}, `"localhost"`},
		"Bind 2":        {cluster.Config{Bind: "0.0.0.0:0"}, `"0.0.0.0:0"`},
		"Advertise":     {cluster.Config{Advertise: "example.com"}, `"example.com"`},
		"Join":          {cluster.Config{Join: []string{"127.0.0.1:1", "nowhere"}}, `"nowhere"`},
		"Secret":        {cluster.Config{Secret: []byte("short")}, "5 bytes"},
		"Label":         {cluster.Config{Label: strings.Repeat("l", 65)}, "lll"},
		"MaxKeys":       {cluster.Config{MaxKeys: -1}, "-1"},
		"Replicas":      {cluster.Config{Replicas: 3}, "3"},
		"Split":         {cluster.Config{Split: 7}, "7"},
		"Split 2":       {cluster.Config{Split: limiter.SplitQuorum}, "quorum"},
		"Voters":        {cluster.Config{Voters: []string{"a", "b", "a"}}, "[a b a]"},
		"ExpectedNodes": {cluster.Config{ExpectedNodes: -2}, "-2"},
		"ForgetAfter":   {cluster.Config{ForgetAfter: -time.Second}, "-1s"},
		"CallTimeout":   {cluster.Config{CallTimeout: time.Microsecond}, "1µs"},
		"FlushInterval": {cluster.Config{FlushInterval: time.Hour}, "1h0m0s"},
	} {
		_, err := cluster.Start(t.Context(), c.config)
		assert.ErrorIs(t, err, cluster.ErrConfig, field)
		assert.ErrorContains(t, err, strings.Fields(field)[0])
		assert.ErrorContains(t, err, c.value, field)
	}
}

// A policy that cannot be is refused, by rule and value.
func TestBadPolicies(t *testing.T) {
	rule := func(name string) middleware.Rule {
		return middleware.Rule{Name: name, Limit: limiter.Per(10, time.Minute)}
	}
	known := http.NewServeMux()
	known.HandleFunc("POST /v1/token", func(http.ResponseWriter, *http.Request) {})
	negative := rule("a")
	negative.Cost = -1
	for name, c := range map[string]struct {
		policy middleware.Policy
		says   []string
	}{
		"nothing is limited":   {middleware.Policy{}, nil},
		"two rules, one name":  {middleware.Policy{Default: []middleware.Rule{rule("a"), rule("a")}}, []string{`"a"`}},
		"names over routes":    {middleware.Policy{Default: []middleware.Rule{rule("a")}, Routes: []middleware.Route{middleware.On("/x", rule("a"))}}, []string{`"a"`}},
		"no pattern":           {middleware.Policy{Routes: []middleware.Route{middleware.On("POST v1 token", rule("a"))}}, []string{"POST v1 token"}},
		"unknown pattern":      {middleware.Policy{Mux: known, Routes: []middleware.Route{middleware.On("POST /v1/tokem", rule("a"))}}, []string{"POST /v1/tokem"}},
		"conflicting patterns": {middleware.Policy{Routes: []middleware.Route{middleware.On("/{x}/b", rule("a")), middleware.On("/a/{y}", rule("b"))}}, []string{"/{x}/b", "/a/{y}"}},
		"negative cost":        {middleware.Policy{Default: []middleware.Rule{negative}}, []string{`"a"`, "-1"}},
		"negative quota":       {middleware.Policy{Default: []middleware.Rule{{Name: "a", Limit: limiter.Per(-1, time.Minute)}}}, []string{`"a"`, "-1"}},
		"short window":         {middleware.Policy{Default: []middleware.Rule{{Name: "a", Limit: limiter.Per(1, time.Microsecond)}}}, []string{`"a"`, "1µs"}},
	} {
		_, err := middleware.New(limiter.NewLocal(limiter.Config{}), c.policy)
		assert.ErrorIs(t, err, middleware.ErrPolicy, name)
		for _, s := range c.says {
			assert.ErrorContains(t, err, s, name)
		}
	}
}

// A port in use is an error that names it, whichever of the two protocols uses it.
func TestPortInUse(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	for _, addr := range []string{tcp.Addr().String(), udp.LocalAddr().String()} {
		_, err := cluster.Start(t.Context(), cluster.Config{Bind: addr, Logger: quiet})
		assert.ErrorContains(t, err, "Bind")
		assert.ErrorContains(t, err, addr)
		assert.ErrorContains(t, err, "address already in use")
	}
}

// A name in Join that does not resolve does not keep a node from serving. It says so, once,
// and keeps trying.
func TestUnresolvableJoin(t *testing.T) {
	if testing.Short() {
		t.Skip("asks for a name that does not exist")
	}
	var log safeBuffer
	n := startNode(t, cluster.Config{Name: "a", Join: []string{"no-such-host.invalid:7946"},
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, func() bool {
		return strings.Contains(log.String(), "trying again for ever") && strings.Contains(log.String(), "no-such-host.invalid:7946")
	}, "the log says nothing of it: %s", &log)
	d, err := n.Take(t.Context(), "k", limiter.Per(10, time.Minute), 1)
	require.NoError(t, err)
	assert.True(t, d.Allowed)
	assert.False(t, d.Degraded, "alone is not degraded")
}

// An address in Join where nobody is yet is joined when somebody is.
func TestJoinLater(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for nodes to find each other")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	free.Close()
	var log safeBuffer
	early := startNode(t, cluster.Config{Name: "early", Join: []string{addr}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, func() bool { return strings.Contains(log.String(), "trying again for ever") }, "the log says nothing: %s", &log)
	late := startNode(t, cluster.Config{Name: "late", Bind: addr})
	awaitWhole(t, early, late)
	eventually(t, func() bool { return strings.Contains(log.String(), "joined=[late]") }, "the log does not say that it is over: %s", &log)
}

// awaitWhole waits until the nodes see each other and decide for everything.
func awaitWhole(t *testing.T, nodes ...*cluster.Node) {
	t.Helper()
	eventually(t, func() bool {
		holding := 0
		for _, n := range nodes {
			s := n.Stats()
			holding += s.Holding
			if !n.Ready() || s.Pending > 0 || s.Live != len(nodes) {
				return false
			}
		}
		return holding == cluster.Partitions
	}, "the %d nodes do not hold together", len(nodes))
}
