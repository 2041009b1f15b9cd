package clientip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware/internal/clientip"
)

// An address that stands for an IPv4 address counts as that one; all others by network.
func TestIPv4Inside(t *testing.T) {
	own := clientip.Config{Translators: prefixes(
		"2001:db8:1::/96", "2001:db8:100::/40", "2001:db9::/32", "2001:dba:cc::/48", "2001:dbb:cc:dd00::/56", "2001:dbc:cc:dd::/64", "64:ff9b:1:2::/96",
	)}
	for peer, want := range map[string]string{
		"64:ff9b::192.0.2.33":         "192.0.2.33", // NAT64
		"64:ff9b::c000:221":           "192.0.2.33",
		"64:FF9B:0:0::C000:0221":      "192.0.2.33",
		"::ffff:0:192.0.2.33":         "192.0.2.33", // SIIT
		"::ffff:192.0.2.33":           "192.0.2.33", // mapped
		"2002:c000:221::1":            "192.0.2.33", // 6to4
		"2002:c000:221:ffff::7":       "192.0.2.33",
		"2001:0:1:2:8000:1:3fff:fdde": "192.0.2.33", // Teredo: inverted
		"2001:db8:1::192.0.2.33":      "192.0.2.33", // own ones, of each length
		"2001:db8:1c0:2:21::":         "192.0.2.33",
		"2001:db9:c000:221::":         "192.0.2.33",
		"2001:dba:cc:c000:2:2100::":   "192.0.2.33",
		"2001:dbb:cc:ddc0:0:221::":    "192.0.2.33",
		"2001:dbc:cc:dd:c0:2:2100::":  "192.0.2.33",
		"64:ff9b:1:2::192.0.2.33":     "192.0.2.33",

		"2001:dbc:cc:dd:1c0:2:2100::": "2001:dbc:cc:dd::/64", // bits 64 to 71 say that nobody translated it
		"64:ff9b:1:3::192.0.2.33":     "64:ff9b:1:3::/64",    // a neighbour
		"64:ff9b:0:1::192.0.2.33":     "64:ff9b:0:1::/64",
		"2001:db8:2::192.0.2.33":      "2001:db8:2::/64",
		"2001:1::192.0.2.33":          "2001:1::/64",
		"2003:c000:221::1":            "2003:c000:221::/64",
		"::192.0.2.33":                "::/64",
		"fe80::c000:221":              "fe80::/64",
	} {
		assert.Equal(t, want, subject(t, own, "["+peer+"]:1", nil), peer)
		own.IPv6Prefix = 128
		if !strings.Contains(want, "/") {
			assert.Equal(t, want, subject(t, own, "["+peer+"]:1", nil), "%s by 128 bits", peer)
		}
		own.IPv6Prefix = 0
		// And so does what a proxy tells.
		behind := own
		behind.Trusted = prefixes("10.0.0.0/8")
		assert.Equal(t, want, subject(t, behind, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"1.1.1.1, " + peer}}), peer)
	}
}

// Behind one translator a client cannot lock out its neighbours, and is itself by whichever
// way it comes.
func TestNeighboursBehindATranslator(t *testing.T) {
	own := clientip.Config{Translators: prefixes("2001:db8:64::/96")}
	for _, network := range []string{"64:ff9b::", "::ffff:0:", "2001:db8:64::"} {
		one, other := subject(t, own, "["+network+"192.0.2.1]:1", nil), subject(t, own, "["+network+"192.0.2.2]:1", nil)
		assert.NotEqual(t, one, other, network)
		assert.Equal(t, subject(t, own, "192.0.2.1:1", nil), one, network)
	}
}

// An IPv4 address inside vouches for nothing: only what a proxy's address is counts.
func TestTranslatedProxies(t *testing.T) {
	header := map[string][]string{"X-Forwarded-For": {"203.0.113.9"}}
	assert.Equal(t, "10.0.0.1", subject(t, clientip.Config{Trusted: prefixes("10.0.0.0/8")}, "[64:ff9b::10.0.0.1]:1", header))
	assert.Equal(t, "203.0.113.9", subject(t, clientip.Config{Trusted: prefixes("64:ff9b::a00:0/104")}, "[64:ff9b::10.0.0.1]:1", header))
}

// One header with one address is believed from trusted peers alone, and is folded like any
// other address.
func TestOneHeader(t *testing.T) {
	trusted := clientip.Config{Header: "Cf-Connecting-Ip", Trusted: prefixes("10.0.0.0/8")}
	unix := clientip.Config{Header: "X-Real-Ip", TrustUnix: true}
	for _, c := range []struct {
		name   string
		config clientip.Config
		peer   string
		values []string
		want   string
	}{
		{"the proxy's", trusted, "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"with spaces", trusted, "10.0.0.1:1", []string{" 203.0.113.9\t"}, "203.0.113.9"},
		{"with a port", trusted, "10.0.0.1:1", []string{"203.0.113.9:99"}, "203.0.113.9"},
		{"IPv6", trusted, "10.0.0.1:1", []string{"2001:db8:1:2::3"}, "2001:db8:1:2::/64"},
		{"IPv6 in brackets", trusted, "10.0.0.1:1", []string{"[2001:db8:1:2::3]:8"}, "2001:db8:1:2::/64"},
		{"mapped", trusted, "10.0.0.1:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"translated", trusted, "10.0.0.1:1", []string{"64:ff9b::203.0.113.9"}, "203.0.113.9"},
		{"a proxy's own address", trusted, "10.0.0.1:1", []string{"10.0.0.7"}, "10.0.0.7"},
		{"a stranger's", trusted, "198.51.100.7:1", []string{"203.0.113.9"}, "198.51.100.7"},
		{"a stranger's on a Unix socket", trusted, "@", []string{"203.0.113.9"}, ""},
		{"none", trusted, "10.0.0.1:1", nil, "10.0.0.1"},
		{"an empty one", trusted, "10.0.0.1:1", []string{""}, "unreadable"},
		{"two values", trusted, "10.0.0.1:1", []string{"203.0.113.9", "203.0.113.9"}, "unreadable"},
		{"a list", trusted, "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, "unreadable"},
		{"a name", trusted, "10.0.0.1:1", []string{"unknown"}, "unreadable"},
		{"an octal one", trusted, "10.0.0.1:1", []string{"0313.0.113.9"}, "unreadable"},
		{"a long one", trusted, "10.0.0.1:1", []string{strings.Repeat("1", 100000)}, "unreadable"},
		{"a Unix socket's", unix, "@", []string{"203.0.113.9"}, "203.0.113.9"},
		{"none on a Unix socket", unix, "@", nil, ""},
		{"a stranger's beside it", unix, "198.51.100.7:1", []string{"203.0.113.9"}, "198.51.100.7"},
	} {
		header := map[string][]string{"X-Forwarded-For": {"9.9.9.9"}, "Forwarded": {"for=9.9.9.9"}, "True-Client-Ip": {"9.9.9.9"}}
		if c.values != nil {
			header[c.config.Header] = c.values
		}
		assert.Equal(t, c.want, subject(t, c.config, c.peer, header), c.name)
	}
}

// A client makes no header unreadable, and whatever is unreadable never counts as the proxy:
// its health checks have their budget to themselves.
func TestNobodySpendsTheProxysBudget(t *testing.T) {
	for _, c := range []clientip.Config{
		{Trusted: prefixes("10.0.0.0/8")}, {Hops: 1}, {Hops: 2}, {Source: clientip.Forwarded, Trusted: prefixes("10.0.0.0/8")},
		{Source: clientip.Forwarded, Hops: 3}, {Header: "X-Real-Ip", Trusted: prefixes("10.0.0.0/8")},
	} {
		name := map[clientip.Source]string{clientip.XForwardedFor: "X-Forwarded-For", clientip.Forwarded: "Forwarded"}[c.Source]
		if c.Header != "" {
			name = c.Header
		}
		assert.Equal(t, "10.0.0.1", subject(t, c, "10.0.0.1:1", nil), "a health check")
		for _, line := range []string{
			"", ",", " ", "unknown", "_hidden", "for=unknown", `for="`, `"`, "203.0.113.9,", "for=203.0.113.9,", "for=203.0.113.9;for=1.1.1.1",
			"x, for=x", strings.Repeat("a", 8193), strings.Repeat("1.1.1.1,", 1100), strings.Repeat("a", 900000), strings.Repeat(`"`, 100000),
			strings.Repeat("10.0.0.2,", 40) + "10.0.0.2", strings.Repeat("for=10.0.0.2,", 40) + "for=10.0.0.2", "300.1.1.1", "::1%", "\x00",
		} {
			assert.NotEqual(t, "10.0.0.1", subject(t, c, "10.0.0.1:1", map[string][]string{name: {line}}), "%.30q", line)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	trusted := prefixes("10.0.0.0/8")
	for want, c := range map[string]clientip.Config{
		"ipv6Prefix: -1 is not within 1 to 128":       {IPv6Prefix: -1},
		"ipv6Prefix: 129 is not within 1 to 128":      {IPv6Prefix: 129},
		"hops: 33 is not within 0 to 32":              {Hops: 33},
		"hops: -1 is not within 0 to 32":              {Hops: -1},
		"hops: 1 excludes trusted":                    {Hops: 1, Trusted: trusted},
		"hops: 2 excludes trusted":                    {Hops: 2, TrustUnix: true},
		"source: 2 is unknown":                        {Source: 2},
		"header: X-Real-Ip needs trusted":             {Header: "X-Real-Ip"},
		"header: X-Real-Ip excludes hops":             {Header: "X-Real-Ip", Hops: 1},
		"header: X-Real-Ip excludes source":           {Header: "X-Real-Ip", Source: clientip.Forwarded, Trusted: trusted},
		"header: X-Forwarded-For is a list":           {Header: "X-Forwarded-For", Trusted: trusted},
		"header: Forwarded is a list":                 {Header: "Forwarded", Trusted: trusted},
		"trusted[1]: invalid Prefix is not":           {Trusted: append(trusted, netip.Prefix{})},
		"trusted[0]: ::ffff:10.0.0.0/95 is not":       {Trusted: prefixes("::ffff:10.0.0.0/95")},
		"translators[0]: 2001:db8::/95 is not an":     {Translators: prefixes("2001:db8::/95")},
		"translators[0]: 2001:db8::/128 is not an":    {Translators: prefixes("2001:db8::/128")},
		"translators[1]: 10.0.0.0/32 is not an":       {Translators: prefixes("2001:db8::/96", "10.0.0.0/32")},
		"translators[0]: ::ffff:0.0.0.0/96 is not an": {Translators: prefixes("::ffff:0.0.0.0/96")},
		"translators[0]: invalid Prefix is not an":    {Translators: []netip.Prefix{{}}},
	} {
		_, err := clientip.New(c)
		require.ErrorContains(t, err, want)
	}
}

// Whatever stands for an address: it is read as netip reads it, or not at all, and what is
// read is one spelling of it.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "::ffff:1.2.3.4", "fe80::1%eth0", "[::1]", "", "[", "1:2"} {
		f.Add(s, uint8(64))
	}
	f.Fuzz(func(t *testing.T, s string, bits uint8) {
		a, ok := clientip.ParseAddr(s)
		if !ok {
			return
		}
		require.True(t, a.IsValid() && a.Zone() == "" && !a.Is4In6())
		again, ok := clientip.ParseAddr(a.String())
		require.True(t, ok)
		require.Equal(t, a, again)
		finder, err := clientip.New(clientip.Config{IPv6Prefix: 1 + int(bits)%128, Translators: prefixes("2001:db8::/32", "2001:db9::/96")})
		require.NoError(t, err)
		one := string(finder.AppendAddr(nil, a))
		require.NotEqual(t, clientip.Unreadable, one)
		text, _, _ := strings.Cut(one, "/")
		folded, err := netip.ParseAddr(text)
		require.NoError(t, err)
		require.False(t, folded.Is4In6())
	})
}
