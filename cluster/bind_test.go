package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/port"
)

// Bind takes what net.Listen takes.
func TestBind(t *testing.T) {
	secret := []byte("a secret of sixteen bytes or more")
	for _, c := range []struct {
		bind   string
		secret []byte
		ip     string // of what is bound
	}{
		{"127.0.0.1:0", nil, "127.0.0.1"},
		{"127.0.0.2:0", nil, "127.0.0.2"},
		{"localhost:0", nil, "127.0.0.1"},
		{"LocalHost:0", nil, "127.0.0.1"},
		{"[::ffff:127.0.0.1]:0", nil, "127.0.0.1"},
		{":0", secret, ""},
		{"0.0.0.0:0", secret, ""},
		{"localhost:0", secret, "127.0.0.1"},
	} {
		n, err := Start(t.Context(), Config{Bind: c.bind, Secret: c.secret, Advertise: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err, c.bind)
		bound := n.port.Addr()
		require.NotZero(t, bound.Port())
		if c.ip == "" {
			require.True(t, bound.Addr().IsUnspecified(), "%s: %s", c.bind, bound)
		} else {
			require.Equal(t, c.ip, bound.Addr().Unmap().String(), c.bind)
		}
		n.Close()
	}
}

func TestJoinTakesWhatDialTakes(t *testing.T) {
	for _, join := range []string{"127.0.0.1:7946", "host:7946", "a.b.c.:1", "[::1]:65535", "[fe80::1%eth0]:7946", "[::ffff:10.0.0.1]:1", "host_1:http"} {
		require.NoError(t, Config{Join: []string{join}, Secret: NewSecret()}.withDefaults().validate(), join)
	}
}

// Link-local addresses are dialled with this node's zone.
func TestZones(t *testing.T) {
	require.Equal(t, "eth2", Config{Bind: ":7946", Join: []string{"10.0.0.1:1", "[fe80::2%eth2]:1"}}.zone())
	require.Equal(t, "lo", Config{Bind: "[fe80::2%lo]:1", Join: []string{"[fe80::2%eth2]:1"}}.zone())

	nw := &zoneNet{}
	n, err := Start(t.Context(), Config{Join: []string{"[fe80::9%weir0]:7946"}, Secret: NewSecret(), Network: nw, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer n.Close()
	n.gossip.Join(port.WithoutZone("[fe80::9%weir0]:7946"))
	_, err = n.port.WriteTo([]byte{1}, "[fe80::9]:7946")
	assert.Error(t, err, "there is no such interface")
	for i, addr := range nw.seen() {
		a := netip.MustParseAddrPort(addr)
		require.Equal(t, "weir0", a.Addr().Zone(), "dial %d", i)
	}
	require.NotEmpty(t, nw.seen())
}

// zoneNet notes what is dialled, and reaches nobody.
type zoneNet struct {
	port.System
	mu    sync.Mutex
	addrs []string
}

func (z *zoneNet) seen() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]string(nil), z.addrs...)
}

func (z *zoneNet) Dial(_ context.Context, addr string) (net.Conn, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.addrs = append(z.addrs, addr)
	return nil, net.ErrClosed
}

// A label or a secret that differs says so on both sides.
func TestWhyAJoinIsRefused(t *testing.T) {
	const secret, other = "a secret of sixteen bytes or more", "another secret of sixteen bytes"
	for _, c := range []struct {
		what              string
		a, b              Config
		joiner, listening string
	}{
		{"labels", Config{Label: "one"}, Config{Label: "two"}, "labels differ", "labels differ"},
		{"labels with a secret", Config{Label: "one", Secret: []byte(secret)}, Config{Label: "two", Secret: []byte(secret)}, "labels differ", "labels differ"},
		{"secrets", Config{Secret: []byte(secret)}, Config{Secret: []byte(other)}, "secret", "secret"},
		{"a secret on one side", Config{Secret: []byte(secret)}, Config{}, "secret", "secret"},
		{"a secret on the other", Config{}, Config{Secret: []byte(secret)}, "secret", "secret"},
		{"labels and secrets", Config{Label: "one", Secret: []byte(secret)}, Config{Label: "two", Secret: []byte(other)}, "secret", "secret"},
	} {
		synctest.Test(t, func(t *testing.T) {
			nw := lab(t)
			var logs [2]lockedBuilder
			for i, cfg := range []Config{c.a, c.b} {
				n, err := startOn(t, nw.Host(string(rune('a'+i)), []string{"127.1.0.1", "127.1.0.2"}[i]), string(rune('a'+i)), &logs[i], func(x *Config) {
					x.Label, x.Secret, x.Join = cfg.Label, cfg.Secret, []string{"127.1.0.1:7946"}
				})
				require.NoError(t, err)
				require.Equal(t, 1, n.Stats().Live)
			}
			time.Sleep(30 * time.Second)
			for i, want := range []string{c.listening, c.joiner} {
				text := logs[i].String()
				require.Contains(t, text, want, "%s, side %d", c.what, i)
				require.NotContains(t, text, "a secret of")
				require.NotContains(t, text, "EOF")
				require.LessOrEqual(t, strings.Count(text, "\n"), 8, text)
			}
		})
	}
}
