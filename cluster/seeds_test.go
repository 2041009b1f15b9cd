package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var seekSecret = NewSecret()

// nameServer is a DNS server whose answers change.
type nameServer struct {
	mu      sync.Mutex
	records map[string][]string // by name: lines of a zone file
}

func (s *nameServer) set(name string, lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = map[string][]string{name: lines}
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	lines, known := s.records[q.Question[0].Name]
	if !known && q.Question[0].Name != "node.test." {
		m.Rcode = dns.RcodeNameError
	}
	if q.Question[0].Name == "node.test." {
		lines = []string{"node.test. 0 IN A 127.0.0.1"}
	}
	for _, line := range lines {
		if r, err := dns.NewRR(line); err == nil && r.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, r)
		}
	}
	w.WriteMsg(m)
}

// resolver asks the server.
func (s *nameServer) resolver(t *testing.T) *net.Resolver { return resolverOf(t, s) }

func resolverOf(t *testing.T, s dns.Handler) *net.Resolver {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &dns.Server{PacketConn: c, Handler: s}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// A node that starts before there is anything to find waits for it, and finds it; and when all
// whom it knew are gone, and others are found, it joins those.
func TestDiscovery(t *testing.T) {
	for _, how := range []string{"dns", "srv", "Discover"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			var s nameServer
			first := startAt(t, "first", "127.0.0.71:0", nil)
			at := netip.MustParseAddrPort(first.Addr())
			cfg := Config{Name: "seeker", Secret: seekSecret, resolver: s.resolver(t)}
			publish := func(a netip.AddrPort) {
				s.set("weir.test.", fmt.Sprint("weir.test. 0 IN A ", a.Addr()))
			}
			switch how {
			case "dns":
				cfg.Join = []string{fmt.Sprint("dns:weir.test:", at.Port())}
			case "srv":
				cfg.Join = []string{"srv:_weir._udp.weir.test"}
				publish = func(a netip.AddrPort) {
					s.set("_weir._udp.weir.test.", fmt.Sprint("_weir._udp.weir.test. 0 IN SRV 0 0 ", a.Port(), " node.test."))
				}
			case "Discover":
				var mu sync.Mutex
				found, err := []string{"no such thing"}, errors.New("nothing is known yet")
				cfg.Discover = func(context.Context) ([]string, error) { mu.Lock(); defer mu.Unlock(); return found, err }
				publish = func(a netip.AddrPort) {
					mu.Lock()
					defer mu.Unlock()
					found, err = []string{"no such thing", a.String()}, nil
				}
			}
			seeker, err := Start(t.Context(), cfg)
			require.NoError(t, err)
			t.Cleanup(seeker.Close)
			require.False(t, seeker.Ready(), "it has not tried for long")
			require.Equal(t, 1, seeker.Stats().Live)
			sees := func(other *Node) {
				t.Helper()
				require.Eventually(t, func() bool {
					for _, m := range seeker.Members() {
						if m.Name == other.Name() && m.State == "living" {
							return seeker.Ready()
						}
					}
					return false
				}, 20*time.Second, 10*time.Millisecond)
			}
			if how == "srv" { // its host has one address
				first.Close()
				first = startAt(t, "first", "127.0.0.1:0", nil)
				at = netip.MustParseAddrPort(first.Addr())
			}
			publish(at)
			sees(first)
			require.NoError(t, first.Leave(t.Context()))
			other := at.Addr().Next()
			if how == "srv" {
				other = at.Addr()
			}
			second := startAt(t, "second", netip.AddrPortFrom(other, at.Port()).String(), nil)
			publish(netip.MustParseAddrPort(second.Addr()))
			sees(second)
		})
	}
}

func startAt(t *testing.T, name, bind string, join []string) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{Name: name, Bind: bind, Join: join, Secret: seekSecret})
	if err != nil && bind[:9] != "127.0.0.1" {
		t.Skipf("this system has no %s: %v", bind, err)
	}
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

// Whoever answers DNS makes a node try no more than a bounded number of addresses.
func TestSeedsAreBounded(t *testing.T) {
	var s nameServer
	var lines []string
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("weir.test. 0 IN A 10.1.%d.%d", i/250, i%250))
	}
	s.set("weir.test.", lines[:200]...)
	n, err := Start(t.Context(), Config{Name: "seeker", Secret: seekSecret, resolver: s.resolver(t)})
	require.NoError(t, err)
	defer n.Close()
	addrs, err := n.resolve(t.Context(), "dns:weir.test:7946")
	if err == nil { // an answer so long does not fit into one packet everywhere
		assert.LessOrEqual(t, len(addrs), seedsMost)
	}
	s.set("weir.test.", lines[:20]...)
	addrs, err = n.resolve(t.Context(), "weir.test:7946")
	require.NoError(t, err)
	require.Len(t, addrs, 20)
	c := n.cfg
	c.Discover = func(context.Context) ([]string, error) {
		var all []string
		for i := range 10_000 {
			all = append(all, fmt.Sprintf("10.2.%d.%d:7946", i/250, i%250))
		}
		return all, nil
	}
	found, err := c.find(t.Context(), discovered)
	require.NoError(t, err)
	require.Len(t, found, seedsMost)
}

// Without a secret, names and Discover lead no further than to this machine.
func TestDiscoveryNeedsASecret(t *testing.T) {
	var s nameServer
	s.set("weir.test.", "weir.test. 0 IN A 10.0.0.1")
	n, err := Start(t.Context(), Config{Name: "seeker", resolver: s.resolver(t),
		Discover: func(context.Context) ([]string, error) { return []string{"10.0.0.1:7946"}, nil }})
	require.NoError(t, err)
	defer n.Close()
	for _, seed := range []string{discovered, "dns:weir.test:7946"} {
		_, err := n.resolve(t.Context(), seed)
		require.ErrorContains(t, err, "is not a loopback address")
	}
}

func TestSeedForms(t *testing.T) {
	for seed, wrong := range map[string]string{
		"dns:weir:7946": "", "dns:7946": "", "srv:7946": "", "srv:_weir._udp.weir": "", "dns:[::1]:7946": "",
		"srv:":            `is not "srv:name"`,
		"srv:weir:7946":   `is not "srv:name"`,
		"srv:a b":         `is not "srv:name"`,
		"dns:weir:":       "has no port",
		"dns::7946":       "has no host",
		"dns:http://x:80": `is not "host:port", "dns:name:port" or "srv:name"`,
	} {
		err := checkSeed(seed, false)
		if wrong == "" {
			assert.NoError(t, err, seed)
		} else {
			assert.ErrorContains(t, err, wrong, seed)
		}
	}
}
