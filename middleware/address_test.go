package middleware_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func TestForwardedFor(t *testing.T) {
	trusted := middleware.Address{Trusted: prefixes("10.0.0.0/8", "2001:db8:ffff::/48")}
	hops := func(n int) middleware.Address { return middleware.Address{Hops: n} }
	const proxy, stranger = "10.0.0.1:1", "198.51.100.7:1"
	for _, c := range []struct {
		name    string
		address middleware.Address
		peer    string
		lines   []string
		want    string
	}{
		{"a stranger's header is worth nothing", trusted, stranger, []string{"203.0.113.9"}, "198.51.100.7"},
		{"the proxy's is believed", trusted, proxy, []string{"203.0.113.9"}, "203.0.113.9"},
		{"what the client wrote before is not", trusted, proxy, []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"not in another line either", trusted, proxy, []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		{"lines are one list in their order", trusted, proxy, []string{"203.0.113.9", "10.1.1.1,10.2.2.2"}, "203.0.113.9"},
		{"several proxies", trusted, proxy, []string{"1.1.1.1, 203.0.113.9, 10.0.0.3, 2001:db8:ffff::2"}, "203.0.113.9"},
		{"a client that pretends to be a proxy", trusted, proxy, []string{"1.1.1.1, 10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		{"spaces and tabs", trusted, proxy, []string{" 1.1.1.1 ,\t203.0.113.9 \t"}, "203.0.113.9"},
		{"with a port", trusted, proxy, []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"IPv6", trusted, proxy, []string{"2001:db8:1:2::3"}, "2001:db8:1:2::/64"},
		{"IPv6 in brackets", trusted, proxy, []string{"[2001:db8:1:2::3]"}, "2001:db8:1:2::/64"},
		{"IPv6 with a port", trusted, proxy, []string{"[2001:db8:1:2::3]:80"}, "2001:db8:1:2::/64"},
		{"a mapped client", trusted, proxy, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"a mapped client in hex", trusted, proxy, []string{"::ffff:cb00:7109"}, "203.0.113.9"},
		{"a mapped proxy", trusted, "[::ffff:10.0.0.1]:1", []string{"203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9"},
		{"a zone", trusted, proxy, []string{"fe80::1%eth0"}, "fe80::/64"},
		{"no header", trusted, proxy, nil, "10.0.0.1"},
		{"an empty header", trusted, proxy, []string{""}, "10.0.0.1"},
		{"an empty member", trusted, proxy, []string{"203.0.113.9,"}, "10.0.0.1"},
		{"unknown", trusted, proxy, []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		{"garbage beyond the client is not looked at", trusted, proxy, []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		{"garbage before it fails", trusted, proxy, []string{"203.0.113.9, <script>, 10.0.0.2"}, "10.0.0.1"},
		{"a name", trusted, proxy, []string{"localhost"}, "10.0.0.1"},
		{"IPv4 in brackets", trusted, proxy, []string{"[203.0.113.9]"}, "10.0.0.1"},
		{"an open bracket", trusted, proxy, []string{"[2001:db8::1"}, "10.0.0.1"},
		{"octal", trusted, proxy, []string{"0313.0.113.9"}, "10.0.0.1"},
		{"nobody but proxies", trusted, proxy, []string{"10.0.0.7, 10.0.0.8"}, "10.0.0.1"},
		{"an endless chain", trusted, proxy, []string{"203.0.113.9" + strings.Repeat(",10.0.0.2", 100)}, "10.0.0.1"},
		{"an endless line", trusted, proxy, []string{strings.Repeat("1.1.1.1,", 2000) + "203.0.113.9"}, "10.0.0.1"},
		{"mapped networks are IPv4 networks", middleware.Address{Trusted: prefixes("::ffff:10.0.0.0/104")}, proxy, []string{"203.0.113.9"}, "203.0.113.9"},
		{"the other header is not read", trusted, proxy, nil, "10.0.0.1"},

		{"one hop", hops(1), proxy, []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"two hops", hops(2), proxy, []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"two hops in two lines", hops(2), proxy, []string{"1.1.1.1, 203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"fewer entries than hops", hops(3), proxy, []string{"1.1.1.1, 203.0.113.9"}, "10.0.0.1"},
		{"garbage on the way", hops(2), proxy, []string{"203.0.113.9, x"}, "10.0.0.1"},
		{"a proxy on a Unix socket", hops(1), "@", []string{"203.0.113.9"}, "203.0.113.9"},
		{"and nothing from it", hops(1), "@", nil, ""},
	} {
		p := by(middleware.Key{})
		p.Address = c.address
		got := subject(t, p, "/", from(c.peer), set("X-Forwarded-For", c.lines...), set("Forwarded", "for=9.9.9.9"))
		assert.Equal(t, c.want, got, c.name)
	}
}

func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"plain", []string{"for=203.0.113.9"}, "203.0.113.9"},
		{"the rightmost stranger", []string{"for=1.1.1.1, for=203.0.113.9, for=10.0.0.2"}, "203.0.113.9"},
		{"in two lines", []string{"for=1.1.1.1, for=203.0.113.9", "for=10.0.0.2"}, "203.0.113.9"},
		{"other parameters", []string{`by=10.0.0.1;FOR="203.0.113.9:80";proto=https;host="a,b;c"`}, "203.0.113.9"},
		{"IPv6", []string{`for="[2001:db8:1:2::3]:4711"`}, "2001:db8:1:2::/64"},
		{"unquoted, as many write it", []string{`for=203.0.113.9:80;host=example.com:8080`}, "203.0.113.9"},
		{"spaces", []string{" for=1.1.1.1 , by=x ; for=203.0.113.9 ; "}, "203.0.113.9"},
		{"a quoted comma is no comma", []string{`for=1.1.1.1;host="x, for=8.8.8.8", for=203.0.113.9`}, "203.0.113.9"},
		{"an escaped quote does not end the string", []string{`host="\", for=8.8.8.8";for=203.0.113.9`}, "10.0.0.1"},
		{"an open quote swallows what the proxy wrote", []string{`for="1.1.1.1, for=203.0.113.9`}, "10.0.0.1"},
		{"an open quote in a line before", []string{`for="1.1.1.1`, "for=203.0.113.9"}, "203.0.113.9"},
		{"for twice", []string{"for=203.0.113.9;for=1.1.1.1"}, "10.0.0.1"},
		{"no for", []string{"for=203.0.113.9, by=10.0.0.2"}, "10.0.0.1"},
		{"unknown", []string{"for=203.0.113.9, for=unknown"}, "10.0.0.1"},
		{"obfuscated", []string{"for=203.0.113.9, for=_gazonk"}, "10.0.0.1"},
		{"no value", []string{"for="}, "10.0.0.1"},
		{"no name", []string{"=203.0.113.9"}, "10.0.0.1"},
		{"no pair", []string{"203.0.113.9"}, "10.0.0.1"},
		{"an escape", []string{`for="203.0.113\.9"`}, "10.0.0.1"},
		{"half a quote", []string{`for="`}, "10.0.0.1"},
		{"empty", []string{""}, "10.0.0.1"},
		{"nothing", nil, "10.0.0.1"},
	} {
		p := by(middleware.Key{})
		p.Address = middleware.Address{Source: middleware.Forwarded, Trusted: prefixes("10.0.0.0/8")}
		got := subject(t, p, "/", from("10.0.0.1:1"), set("Forwarded", c.lines...), set("X-Forwarded-For", "9.9.9.9"))
		assert.Equal(t, c.want, got, c.name)
	}
}

// Whatever a client writes before what the trusted proxy appends: it counts as the
// address that the proxy saw, or as the proxy itself. Never as anything else.
func FuzzForwarded(f *testing.F) {
	f.Add("1.1.1.1", false)
	f.Add(`for="1.1.1.1`, true)
	f.Add(`for=1.1.1.1;host="a\"`, true)
	f.Add("[::ffff:1.2.3.4]:5, ,", false)
	f.Fuzz(func(t *testing.T, client string, rfc7239 bool) {
		p := by(middleware.Key{})
		p.Address.Trusted = prefixes("10.0.0.0/8")
		header, line := "X-Forwarded-For", client+", 203.0.113.9"
		if rfc7239 {
			p.Address.Source = middleware.Forwarded
			header, line = "Forwarded", client+", for=203.0.113.9"
		}
		got := subject(t, p, "/", from("10.0.0.1:1"), func(r *http.Request) {
			r.Header[header] = []string{line}
		})
		require.Contains(t, []string{"203.0.113.9", "10.0.0.1"}, got)
		got = subject(t, p, "/", from("10.0.0.1:1"), func(r *http.Request) {
			r.Header[header] = []string{client, line[len(client)+2:]}
		})
		require.Equal(t, "203.0.113.9", got, "a line of its own cannot be spoilt")
		got = subject(t, p, "/", from("198.51.100.7:1"), func(r *http.Request) {
			r.Header[header] = []string{client}
		})
		require.Equal(t, "198.51.100.7", got, "a stranger is itself")
	})
}
