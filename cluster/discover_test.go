package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/journal"
)

// startWithin starts a node that must not hang, and ends it likewise.
func startWithin(t *testing.T, most time.Duration, cfg Config) (n *Node) {
	t.Helper()
	started := make(chan error, 1)
	go func() {
		var err error
		n, err = Start(context.Background(), cfg)
		started <- err
	}()
	select {
	case err := <-started:
		require.NoError(t, err)
	case <-time.After(most):
		require.FailNow(t, "Start hangs")
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { n.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(most):
			require.FailNow(t, "Close hangs")
		}
	})
	return n
}

func sees(t *testing.T, n *Node, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, m := range n.Members() {
			if m.Name == name {
				return m.State == "living"
			}
		}
		return false
	}, 20*time.Second, 10*time.Millisecond)
}

// A Discover that never returns, whatever its context says, or that panics, holds up nobody: not the
// start, nor the other seeds, nor the end; and it is not asked again and again meanwhile.
func TestDiscoverThatMisbehaves(t *testing.T) {
	first := startAt(t, "first", "127.0.0.1:0", nil)
	var asked atomic.Int64
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	for name, discover := range map[string]func(context.Context) ([]string, error){
		"stuck":    func(context.Context) ([]string, error) { asked.Add(1); <-stuck; return nil, nil },
		"panicked": func(context.Context) ([]string, error) { panic("at the disco") },
	} {
		t.Run(name, func(t *testing.T) {
			n := startWithin(t, 10*time.Second, Config{Name: name, Secret: seekSecret, Join: []string{first.Addr()}, Discover: discover})
			sees(t, n, "first")
			for range 2 * discoversMost {
				ctx, cancel := context.WithCancel(t.Context())
				if name == "stuck" {
					cancel()
				}
				_, err := n.resolve(ctx, discovered)
				require.ErrorContains(t, err, "Discover: "+name)
				cancel()
			}
		})
	}
	require.LessOrEqual(t, asked.Load(), int64(discoversMost))
}

// Of more seeds than are tried at a time not always the same ones are: whoever lives may be the last.
func TestEverySeedHasItsTurn(t *testing.T) {
	var all []string
	for i := range 10 * seedsMost {
		all = append(all, fmt.Sprintf("10.2.%d.%d:7946", i/250, i%250))
	}
	c := Config{Secret: seekSecret, Discover: func(context.Context) ([]string, error) { return all, nil }}
	seen := map[netip.AddrPort]bool{}
	for range 10 {
		found, err := c.find(t.Context(), discovered)
		require.NoError(t, err)
		require.Len(t, found, seedsMost)
		for _, a := range found {
			seen[a] = true
		}
	}
	require.Greater(t, len(seen), 2*seedsMost)
}

// silentServer answers nothing about some names.
type silentServer struct{ nameServer }

func (s *silentServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if !strings.HasPrefix(q.Question[0].Name, "silent") {
		s.nameServer.ServeDNS(w, q)
	}
}

// A name for which no answer comes takes nothing from the others' time: beside it in Join, in what Discover
// returns, or among the targets of a SRV record.
func TestSilentNameHoldsUpNobody(t *testing.T) {
	first := startAt(t, "first", "127.0.0.1:0", nil)
	at := netip.MustParseAddrPort(first.Addr())
	var s silentServer
	s.records = map[string][]string{"_weir._udp.weir.test.": {
		fmt.Sprint("_weir._udp.weir.test. 0 IN SRV 0 0 ", at.Port(), " silent.test."),
		fmt.Sprint("_weir._udp.weir.test. 0 IN SRV 9 0 ", at.Port(), " node.test."),
	}}
	silent, answers := fmt.Sprint("silent.test:", at.Port()), fmt.Sprint("node.test:", at.Port())
	for how, cfg := range map[string]Config{
		"Join":     {Join: []string{silent, answers}},
		"SRV":      {Join: []string{"srv:_weir._udp.weir.test"}},
		"Discover": {Discover: func(context.Context) ([]string, error) { return []string{silent, answers}, nil }},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cfg.Name, cfg.Secret, cfg.resolver = how, seekSecret, resolverOf(t, &s)
			n := startWithin(t, 10*time.Second, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), dnsTimeout)
			defer cancel()
			require.Equal(t, []string{at.String()}, n.seeds(ctx))
		})
	}
}

// A name that is found at one moment and not at the next is two lines in ten minutes, however often it turns.
func TestFlappingNameIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		n := Node{logs: journal.New(log.logger().Handler()), ctx: t.Context()}
		n.log = n.logs.Logger()
		for _, told := range []string{"first", "later"} {
			for range 50 {
				n.reportLookup("weir:7946", errors.New("no such host"))
				n.reportLookup("weir:7946", nil)
			}
			synctest.Wait()
			log.phase(told)
			time.Sleep(journal.Window)
		}
		n.logs.Close()
		two := "level=INFO msg=\"resolved a seed\" seed=weir:7946\n" +
			"level=WARN msg=\"cannot resolve a seed; trying again for ever\" seed=weir:7946 error=\"no such host\"\n"
		require.Equal(t, "# first\n"+two+"# later\n"+two, log.all.String())
	})
}
