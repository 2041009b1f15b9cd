package middleware_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func TestPeer(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:1234":                  "192.0.2.1",
		"[::ffff:192.0.2.1]:1":            "192.0.2.1",
		"[::FFFF:c000:201]:1":             "192.0.2.1",
		"[0:0:0:0:0:ffff:192.0.2.1]:1":    "192.0.2.1",
		"[::ffff:192.0.2.1%eth0]:1":       "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1":        "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:1":        "2001:db8:1:2::/64",
		"[2001:0DB8:0001:0002::]:1":       "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":                "fe80::/64",
		"[fe80::1%25a:b]:1":               "fe80::/64",
		"[::1]:1":                         "::/64",
		"":                                "", // no address: the shared budget
		"@":                               "",
		"/run/app.sock":                   "",
		"192.0.2.1:99999":                 "",
		"192.0.2.256:1":                   "",
		"0300.0.2.1:1":                    "", // octal is not an address
		strings.Repeat("1", 10000) + ":1": "",
	} {
		// Whatever a client writes into headers, it stays who it is.
		forged := []func(*http.Request){
			from(peer), set("X-Forwarded-For", "203.0.113.9"), set("Forwarded", "for=203.0.113.9"),
			set("X-Real-Ip", "203.0.113.9"), set("True-Client-Ip", "203.0.113.9"),
		}
		assert.Equal(t, want, subject(t, by(middleware.Key{}), "/", forged...), peer)
		assert.Equal(t, want, subject(t, by(middleware.PeerIP()), "/", forged...), peer)
	}
}

func TestIPv6Prefix(t *testing.T) {
	peer := from("[2001:db8:1:2:3:4:5:6]:1")
	for bits, want := range map[int]string{
		0: "2001:db8:1:2::/64", 48: "2001:db8:1::/48", 56: "2001:db8:1::/56", 128: "2001:db8:1:2:3:4:5:6",
	} {
		p := by(middleware.ClientIP())
		p.Address.IPv6Prefix = bits
		assert.Equal(t, want, subject(t, p, "/", peer))
		assert.Equal(t, want, subject(t, by(middleware.ClientIPBy(p.Address)), "/", peer))
		assert.Equal(t, "192.0.2.1", subject(t, p, "/"), "IPv4 counts one by one")
	}
}

// prefixes parses networks.
func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Each kind of Address, through a request; how the headers are read is tested in the
// package that reads them.
func TestAddress(t *testing.T) {
	proxies := prefixes("10.0.0.0/8")
	local := func(network string) func(*http.Request) {
		return func(r *http.Request) {
			var a net.Addr = &net.TCPAddr{}
			if network == "unix" {
				a = &net.UnixAddr{Name: "/run/app.sock", Net: "unix"}
			}
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, a))
		}
	}
	headers := func(r *http.Request) {
		set("X-Forwarded-For", "1.1.1.1, 203.0.113.1")(r)
		set("Forwarded", "for=203.0.113.2")(r)
		set("cf-connecting-ip", "203.0.113.3")(r)
	}
	for _, c := range []struct {
		name    string
		address middleware.Address
		peer    string
		local   string
		want    string
	}{
		{"nobody is trusted", middleware.Address{}, "10.0.0.1:1", "tcp", "10.0.0.1"},
		{"X-Forwarded-For", middleware.Address{Trusted: proxies}, "10.0.0.1:1", "tcp", "203.0.113.1"},
		{"Forwarded", middleware.Address{Trusted: proxies, Source: middleware.Forwarded}, "10.0.0.1:1", "tcp", "203.0.113.2"},
		{"one header", middleware.Address{Trusted: proxies, Header: "CF-Connecting-IP"}, "10.0.0.1:1", "tcp", "203.0.113.3"},
		{"one header in lower case", middleware.Address{Trusted: proxies, Header: "cf-connecting-ip"}, "10.0.0.1:1", "tcp", "203.0.113.3"},
		{"another header", middleware.Address{Trusted: proxies, Header: "X-Real-IP"}, "10.0.0.1:1", "tcp", "10.0.0.1"},
		{"hops", middleware.Address{Hops: 1}, "192.0.2.1:1", "tcp", "203.0.113.1"},
		{"too few hops", middleware.Address{Hops: 3}, "192.0.2.1:1", "tcp", "unreadable"},
		{"a Unix socket", middleware.Address{TrustUnix: true}, "@", "unix", "203.0.113.1"},
		{"an unnamed peer on a Unix socket", middleware.Address{TrustUnix: true}, "", "unix", "203.0.113.1"},
		{"a named peer on a Unix socket", middleware.Address{TrustUnix: true}, "/run/proxy.sock", "unix", "203.0.113.1"},
		{"a Unix socket by its peer", middleware.Address{TrustUnix: true}, "@proxy", "", "203.0.113.1"},
		{"no address on a TCP socket", middleware.Address{TrustUnix: true}, "@", "tcp", ""},
		{"no address at all", middleware.Address{TrustUnix: true}, "", "", ""},
		{"a TCP peer of a server that trusts Unix sockets", middleware.Address{TrustUnix: true}, "192.0.2.1:1", "tcp", "192.0.2.1"},
		{"both", middleware.Address{TrustUnix: true, Trusted: proxies}, "10.0.0.1:1", "tcp", "203.0.113.1"},
		{"one header on a Unix socket", middleware.Address{TrustUnix: true, Header: "CF-Connecting-IP"}, "@", "unix", "203.0.113.3"},
		{"a Unix socket that is not trusted", middleware.Address{Trusted: proxies}, "@", "unix", ""},
		{"NAT64", middleware.Address{}, "[64:ff9b::192.0.2.7]:1", "tcp", "192.0.2.7"},
		{"an own translator", middleware.Address{Translators: prefixes("2001:db8:64::/96")}, "[2001:db8:64::192.0.2.7]:1", "tcp", "192.0.2.7"},
	} {
		edits := []func(*http.Request){from(c.peer), headers}
		if c.local != "" {
			edits = append(edits, local(c.local))
		}
		p := by(middleware.Key{})
		p.Address = c.address
		assert.Equal(t, c.want, subject(t, p, "/", edits...), c.name)
		assert.Equal(t, c.want, subject(t, by(middleware.ClientIPBy(c.address)), "/", edits...), c.name)
	}
}

// Real requests over a Unix socket count as the clients that the proxy names.
func TestProxyOnAUnixSocket(t *testing.T) {
	p := by(middleware.Key{})
	p.Address.TrustUnix = true
	p.Default[0].Limit.Quota = 2
	server := httptest.NewUnstartedServer(wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		client string
		want   int
	}{{"203.0.113.1", 418}, {"203.0.113.1", 418}, {"203.0.113.1", 429}, {"203.0.113.2", 418}, {"9.9.9.9, 203.0.113.1", 429}} {
		r, err := http.NewRequest(http.MethodGet, "http://unix/", nil)
		require.NoError(t, err)
		r.Header.Set("X-Forwarded-For", c.client)
		answer, err := client.Do(r)
		require.NoError(t, err)
		answer.Body.Close()
		assert.Equal(t, c.want, answer.StatusCode, c.client)
	}
}

// However a client fills the header, the proxy's health checks have their own budget.
func TestHealthChecksOfAProxy(t *testing.T) {
	p := by(middleware.Key{})
	p.Address.Trusted = prefixes("10.0.0.0/8")
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
	for i := range 120 {
		get(h, "/", from("10.0.0.1:1"), set("X-Forwarded-For", strings.Repeat("x", 9000)+strings.Repeat("unknown,", i)+" unknown"))
	}
	for range 100 {
		assert.Equal(t, 418, get(h, "/", from("10.0.0.1:1")).Code, "a health check")
	}
	assert.Equal(t, 429, get(h, "/", from("10.0.0.1:1")).Code, "they have a limit, too")
	assert.Equal(t, 418, get(h, "/", from("10.0.0.1:1"), set("X-Forwarded-For", strings.Repeat("x", 9000)+",203.0.113.9")).Code)
}

func TestBadAddresses(t *testing.T) {
	for want, a := range map[string]middleware.Address{
		"is not a header name":        {Header: "X Real IP", Trusted: prefixes("10.0.0.0/8")},
		"needs trusted networks":      {Header: "X-Real-IP"},
		"is a list, not one address":  {Header: "x-forwarded-for", Trusted: prefixes("10.0.0.0/8")},
		"is not within 0 to 32":       {Hops: 33},
		"is not within 1 to 128":      {IPv6Prefix: 129},
		"excludes trusted networks":   {Hops: 1, TrustUnix: true},
		"is not an IPv6 network of":   {Translators: prefixes("10.0.0.0/8")},
		"is not a network":            {Trusted: []netip.Prefix{{}}},
		"excludes source: use one of": {Header: "X-Real-IP", Source: middleware.Forwarded, Trusted: prefixes("10.0.0.0/8")},
	} {
		p := by(middleware.Key{})
		p.Address = a
		require.ErrorIs(t, p.Check(), middleware.ErrPolicy)
		require.ErrorContains(t, p.Check(), want)
		require.ErrorContains(t, by(middleware.ClientIPBy(a)).Check(), want)
		assert.Empty(t, a.Subject(netip.MustParseAddr("192.0.2.1")))
	}
}
