package clientip_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware/internal/clientip"
)

// subject is what a request from peer with these header lines counts as, "" for none.
func subject(t testing.TB, c clientip.Config, peer string, header map[string][]string) string {
	t.Helper()
	f, err := clientip.New(c)
	require.NoError(t, err)
	b, ok := f.Append(nil, peer, strings.HasPrefix(peer, "@"), header)
	assert.Equal(t, ok, len(b) > 0)
	return string(b)
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
	trusted := clientip.Config{Trusted: prefixes("10.0.0.0/8", "2001:db8:ffff::/48")}
	hops := func(n int) clientip.Config { return clientip.Config{Hops: n} }
	const proxy, stranger = "10.0.0.1:1", "198.51.100.7:1"
	for _, c := range []struct {
		name    string
		address clientip.Config
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
		{"an empty header", trusted, proxy, []string{""}, "unreadable"},
		{"an empty member", trusted, proxy, []string{"203.0.113.9,"}, "unreadable"},
		{"unknown", trusted, proxy, []string{"203.0.113.9, unknown"}, "unreadable"},
		{"garbage beyond the client is not looked at", trusted, proxy, []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		{"garbage before it fails", trusted, proxy, []string{"203.0.113.9, <script>, 10.0.0.2"}, "unreadable"},
		{"a name", trusted, proxy, []string{"localhost"}, "unreadable"},
		{"IPv4 in brackets", trusted, proxy, []string{"[203.0.113.9]"}, "unreadable"},
		{"an open bracket", trusted, proxy, []string{"[2001:db8::1"}, "unreadable"},
		{"octal", trusted, proxy, []string{"0313.0.113.9"}, "unreadable"},
		{"nobody but proxies", trusted, proxy, []string{"10.0.0.7, 10.0.0.8"}, "10.0.0.1"},
		{"an endless chain", trusted, proxy, []string{"203.0.113.9" + strings.Repeat(",10.0.0.2", 100)}, "unreadable"},
		{"an endless line", trusted, proxy, []string{strings.Repeat("1.1.1.1,", 2000) + "203.0.113.9"}, "203.0.113.9"},
		{"mapped networks are IPv4 networks", clientip.Config{Trusted: prefixes("::ffff:10.0.0.0/104")}, proxy, []string{"203.0.113.9"}, "203.0.113.9"},
		{"the other header is not read", trusted, proxy, nil, "10.0.0.1"},

		{"one hop", hops(1), proxy, []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"two hops", hops(2), proxy, []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"two hops in two lines", hops(2), proxy, []string{"1.1.1.1, 203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"fewer entries than hops", hops(3), proxy, []string{"1.1.1.1, 203.0.113.9"}, "unreadable"},
		{"garbage on the way", hops(2), proxy, []string{"203.0.113.9, x"}, "unreadable"},
		{"a proxy on a Unix socket", hops(1), "@", []string{"203.0.113.9"}, "203.0.113.9"},
		{"and nothing from it", hops(1), "@", nil, ""},
	} {
		header := map[string][]string{"Forwarded": {"for=9.9.9.9"}, "X-Real-Ip": {"9.9.9.9"}}
		if c.lines != nil {
			header["X-Forwarded-For"] = c.lines
		}
		assert.Equal(t, c.want, subject(t, c.address, c.peer, header), c.name)
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
		{"an escaped quote does not end the string", []string{`host="\", for=8.8.8.8";for=203.0.113.9`}, "203.0.113.9"},
		{"an open quote does not swallow what the proxy wrote", []string{`for="1.1.1.1, for=203.0.113.9`}, "203.0.113.9"},
		{"an open quote in a line before", []string{`for="1.1.1.1`, "for=203.0.113.9"}, "203.0.113.9"},
		{"for twice", []string{"for=203.0.113.9;for=1.1.1.1"}, "unreadable"},
		{"no for", []string{"for=203.0.113.9, by=10.0.0.2"}, "unreadable"},
		{"unknown", []string{"for=203.0.113.9, for=unknown"}, "unreadable"},
		{"obfuscated", []string{"for=203.0.113.9, for=_gazonk"}, "unreadable"},
		{"no value", []string{"for="}, "unreadable"},
		{"no name", []string{"=203.0.113.9"}, "unreadable"},
		{"no pair", []string{"203.0.113.9"}, "unreadable"},
		{"an escape", []string{`for="203.0.113\.9"`}, "unreadable"},
		{"half a quote", []string{`for="`}, "unreadable"},
		{"empty", []string{""}, "unreadable"},
		{"nothing", nil, "10.0.0.1"},
	} {
		header := map[string][]string{"X-Forwarded-For": {"9.9.9.9"}}
		if c.lines != nil {
			header["Forwarded"] = c.lines
		}
		config := clientip.Config{Source: clientip.Forwarded, Trusted: prefixes("10.0.0.0/8")}
		assert.Equal(t, c.want, subject(t, config, "10.0.0.1:1", header), c.name)
	}
}

// Whatever a client writes before what the trusted proxy appends, in the same line or in one
// before it: the request counts as the address that the proxy saw.
func FuzzForwarded(f *testing.F) {
	f.Add("1.1.1.1", "")
	f.Add(`for="1.1.1.1`, `;host="a, for=8.8.8.8"`)
	f.Add(`for=1.1.1.1;host="a\"`, `;proto=https`)
	f.Add("[::ffff:1.2.3.4]:5, ,", `;host="\", for=8.8.8.8"`)
	f.Add(strings.Repeat("1.1.1.1,", 2000), "")
	f.Fuzz(func(t *testing.T, client, parameters string) {
		for _, source := range []clientip.Source{clientip.XForwardedFor, clientip.Forwarded} {
			name, appended := "X-Forwarded-For", "203.0.113.9"
			if source == clientip.Forwarded {
				name, appended = "Forwarded", "for=203.0.113.9"
			}
			for _, c := range []clientip.Config{
				{Source: source, Trusted: prefixes("10.0.0.0/8")}, {Source: source, Hops: 1}, {Source: source, TrustUnix: true},
			} {
				peer := "10.0.0.1:1"
				if c.TrustUnix {
					peer = "@"
				}
				require.Equal(t, "203.0.113.9", subject(t, c, peer, map[string][]string{name: {client + ", " + appended}}))
				require.Equal(t, "203.0.113.9", subject(t, c, peer, map[string][]string{name: {client, appended}}))
				got := subject(t, c, peer, map[string][]string{name: {client}})
				if c.Trusted == nil { // and whoever the proxy is: a header may name one by chance
					require.NotEmpty(t, got)
					other := subject(t, c, "10.9.9.9:1", map[string][]string{name: {client}})
					require.False(t, !c.TrustUnix && got == "10.0.0.1" && other == "10.9.9.9", "a header never makes it the proxy")
				}
			}
			stranger := clientip.Config{Source: source, Trusted: prefixes("10.0.0.0/8")}
			require.Equal(t, "198.51.100.7", subject(t, stranger, "198.51.100.7:1", map[string][]string{name: {client}}))
		}
		// What a proxy writes besides the address, partly as the client wishes, does not
		// change the address either, if it is well formed.
		element := "for=203.0.113.9" + parameters
		got := subject(t, clientip.Config{Source: clientip.Forwarded, Hops: 1}, "@", map[string][]string{"Forwarded": {client + "," + element}})
		if wellFormed.MatchString(parameters) {
			require.Equal(t, "203.0.113.9", got)
		}
	})
}

// wellFormed are parameters of Forwarded (RFC 7239) without another "for", short enough.
var wellFormed = regexp.MustCompile(`^(;(by|host|proto)=([a-z0-9]+|"([^"\\\x00-\x1f]|\\.)*")){0,2}$`)
