package cluster

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

func TestBadConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string // the field and its value
	}{
		{Config{Name: strings.Repeat("n", 129)}, `Name "nnn`},
		{Config{Label: strings.Repeat("l", 65)}, `Label "lll`},
		{Config{Secret: []byte("abcde")}, "Secret of 5 bytes"},
		{Config{Secret: []byte("0123456789abcde")}, "Secret of 15 bytes is shorter than 16: make one with cluster.NewSecret, or openssl rand -base64 32"},
		{Config{Secret: []byte("abcdabcdabcdabcdabcdabcdabcdabcd")}, "Secret of 32 bytes has only 4 different ones"},
		{Config{Secret: make([]byte, 32)}, "Secret of 32 bytes has only 1 different ones"},
		{Config{Secret: NewSecret(), Secrets: []Secret{NewSecret()}}, "Secret and Secrets are both set"},
		{Config{Secrets: []Secret{NewSecret()}}, "Secrets need an IDSecret"},
		{Config{Secrets: []Secret{NewSecret(), nil}, IDSecret: NewSecret()}, "Secrets: number 2 of 0 bytes is empty"},
		{Config{Secrets: []Secret{[]byte("abcde")}, IDSecret: NewSecret()}, "Secrets: number 1 of 5 bytes is shorter than 16"},
		{Config{Secrets: []Secret{[]byte("0123456789abcdef"), []byte("0123456789abcdef")}, IDSecret: NewSecret()}, "number 2 of 16 bytes is there twice"},
		{Config{Secrets: make([]Secret, 5), IDSecret: NewSecret()}, "Secrets are 5, more than 4"},
		{Config{IDSecret: []byte("abcde")}, "IDSecret of 5 bytes is shorter than 16"},
		{Config{Join: []string{"192.0.2.1:7946"}}, `Join "192.0.2.1:7946" is not a loopback address`},
		{Config{Join: []string{"[2001:db8::1]:7946"}}, `Join "[2001:db8::1]:7946" is not a loopback address`},
		{Config{MaxKeys: -1}, "MaxKeys -1"},
		{Config{Replicas: 3}, "Replicas 3"},
		{Config{Split: 9}, "Split Split(9)"},
		{Config{ExpectedNodes: -2}, "ExpectedNodes -2"},
		{Config{ForgetAfter: -time.Second}, "ForgetAfter -1s"},
		{Config{CallTimeout: time.Microsecond}, "CallTimeout 1µs"},
		{Config{FlushInterval: time.Hour}, "FlushInterval 1h0m0s"},
		{Config{Bind: "localhost"}, `Bind "localhost"`},
		{Config{Bind: "::1:7946"}, `Bind "::1:7946"`},
		{Config{Bind: "127.0.0.1:"}, `Bind "127.0.0.1:" has no port`},
		{Config{Bind: "127.0.0.1:65536"}, `Bind "127.0.0.1:65536" has no port within 0 to 65535`},
		{Config{Bind: "127.0.0.1:-1"}, `Bind "127.0.0.1:-1" has no port`},
		{Config{Bind: "127.0.0.1:no such"}, `Bind "127.0.0.1:no such" has no port`},
		{Config{Bind: "no-such-host.invalid:1"}, `Bind "no-such-host.invalid:1" does not resolve`},
		{Config{Bind: ":7946"}, `Bind ":7946" is not a loopback address`},
		{Config{Bind: "[::]:7946"}, `Bind "[::]:7946" is not a loopback address`},
		{Config{Bind: "0.0.0.0:0"}, `Bind "0.0.0.0:0" is not a loopback address`},
		{Config{Bind: "192.0.2.1:7946"}, `Bind "192.0.2.1:7946" is not a loopback address`},
		{Config{Advertise: "example.com:1"}, `Advertise "example.com:1"`},
		{Config{Advertise: "0.0.0.0:1"}, `Advertise "0.0.0.0:1"`},
		{Config{Join: []string{"127.0.0.1:7946", "nohost"}}, `Join "nohost"`},
		{Config{Join: []string{"host:0"}}, `Join "host:0" has no port within 1 to 65535`},
		{Config{Join: []string{":7946"}}, `Join ":7946" has no host`},
		{Config{Join: []string{"host:"}}, `Join "host:" has no port`},
		{Config{Join: []string{"host:65536"}}, `Join "host:65536" has no port`},
		{Config{Join: []string{"host:-1"}}, `Join "host:-1" has no port`},
		{Config{Join: []string{"host:port"}}, `Join "host:port" has no port`},
		{Config{Join: []string{"fe80::1%eth0:7946"}}, `Join "fe80::1%eth0:7946"`},
		{Config{Join: []string{"[fe80::1%eth0]"}}, `Join "[fe80::1%eth0]"`},
		{Config{Join: []string{"[]:1"}}, `Join "[]:1" has no host`},
		{Config{Join: []string{"a host:1"}}, `Join "a host:1" has no host`},
		{Config{Join: []string{"http://host:1"}}, `Join "http://host:1"`},
		{Config{Join: []string{"user@host:1"}}, `Join "user@host:1" has no host`},
	} {
		c.cfg.Logger = slog.New(slog.DiscardHandler)
		_, err := Start(context.Background(), c.cfg)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "abcde", "a secret in an error")
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	_, err = Start(context.Background(), Config{Bind: ln.Addr().String(), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, ln.Addr().String())
	require.ErrorContains(t, err, "address already in use")
}

func TestBadArguments(t *testing.T) {
	n := startNodes(t, 1, nil)[0]
	ctx, l := t.Context(), limiter.Per(10, time.Minute)
	_, err := n.Take(ctx, "", l, 1)
	require.ErrorIs(t, err, limiter.ErrKey)
	_, err = n.Take(ctx, "k", limiter.Per(0, time.Minute), 1)
	require.ErrorIs(t, err, limiter.ErrLimit)
	_, err = n.Take(ctx, "k", l, -1)
	require.ErrorIs(t, err, limiter.ErrCost)
	require.ErrorIs(t, n.Give(ctx, "k", l, 11), limiter.ErrCost)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = n.Take(cancelled, "k", l, 1)
	require.ErrorIs(t, err, context.Canceled)
	n.Close()
	_, err = n.Take(ctx, "k", l, 1)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, n.Give(ctx, "k", l, 1), ErrClosed)
	require.ErrorIs(t, n.Leave(ctx), ErrClosed)
	n.Close() // twice
}

// A node without configuration is alone, and works.
func TestZeroConfig(t *testing.T) {
	n, err := Start(t.Context(), Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer n.Close()
	require.True(t, n.Ready())
	for i := range 12 {
		d, err := n.Take(t.Context(), "k", limiter.Per(10, time.Hour), 1)
		require.NoError(t, err)
		require.Equal(t, i < 10, d.Allowed)
		require.False(t, d.Degraded)
	}
	require.NoError(t, n.Give(t.Context(), "k", limiter.Per(10, time.Hour), 4))
	d, err := n.Take(t.Context(), "k", limiter.Per(10, time.Hour), 0)
	require.NoError(t, err)
	require.Equal(t, int64(4), d.Remaining)
	require.NoError(t, n.Leave(t.Context()))
}
