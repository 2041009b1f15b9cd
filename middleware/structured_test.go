package middleware

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// member is a member of a structured list: a string with integer parameters.
type member struct {
	name   string
	params []param
}

type param struct {
	key   string
	value int64
}

// serialise writes members as setIETF does.
func serialise(members []member) string {
	var b []byte
	for _, m := range members {
		item := appendString(nil, m.name)
		for _, p := range m.params {
			item = appendParam(item, p.key, p.value)
		}
		b = appendItem(b, string(item))
	}
	return string(b)
}

// parseList is the parsing algorithm of RFC 9651, section 4.2, for lists (4.2.1) of
// strings (4.2.5) with integer (4.2.4) parameters (4.2.3.2), step by step. False
// means "fail parsing".
func parseList(s string) (members []member, ok bool) {
	s = strings.Trim(s, " ")
	for s != "" {
		var m member
		if m.name, s, ok = parseString(s); !ok {
			return nil, false
		}
		for strings.HasPrefix(s, ";") {
			s = strings.TrimLeft(s[1:], " ")
			var p param
			if p, s, ok = parseParam(s); !ok {
				return nil, false
			}
			m.params = append(m.params, p)
		}
		members = append(members, m)
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return members, true
		}
		if s[0] != ',' {
			return nil, false
		}
		if s = strings.TrimLeft(s[1:], " \t"); s == "" {
			return nil, false // a trailing comma
		}
	}
	return members, true
}

func parseString(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	var out []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", false
			}
			out = append(out, s[i])
		case c == '"':
			return string(out), s[i+1:], true
		case c < 0x20 || c > 0x7e:
			return "", "", false
		default:
			out = append(out, c)
		}
	}
	return "", "", false
}

func parseParam(s string) (p param, rest string, ok bool) {
	i := 0
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || i > 0 && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	if i == 0 || i == len(s) || s[i] != '=' {
		return p, "", false
	}
	p.key, s = s[:i], s[i+1:]
	i = 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if digits := strings.TrimPrefix(s[:i], "-"); digits == "" || len(digits) > 15 {
		return p, "", false
	}
	v, err := strconv.ParseInt(s[:i], 10, 64)
	p.value = v
	return p, s[i:], err == nil
}

// Every string of printable characters up to length 2, alone and with parameters.
func TestStructuredFieldsExhaustively(t *testing.T) {
	names := []string{""}
	for a := byte(' '); a <= '~'; a++ {
		names = append(names, string(a))
		for b := byte(' '); b <= '~'; b++ {
			names = append(names, string([]byte{a, b}))
		}
	}
	for _, name := range names {
		for _, in := range [][]member{
			{{name: name}},
			{{name: name, params: []param{{"q", 1}, {"w", 999_999_999_999_999}}}},
			{{name: name, params: []param{{"r", 0}}}, {name: name, params: []param{{"t", -1}}}},
		} {
			out, ok := parseList(serialise(in))
			if !ok || !assert.Equal(t, in, out) {
				require.Fail(t, "no round trip", "%q gives %s", name, serialise(in))
			}
		}
	}
	for c := range 256 {
		printable := c >= ' ' && c <= '~'
		assert.Equal(t, printable, isPrintable(string([]byte{'a', byte(c)})), c)
	}
	assert.Equal(t, `"a\"b\\c";q=100;w=60`, serialise([]member{{`a"b\c`, []param{{"q", 100}, {"w", 60}}}}))
}

// The parser of this test must itself refuse what is not a list, or a round trip
// would prove little.
func TestStructuredFieldsParserRefuses(t *testing.T) {
	for _, s := range []string{
		`a`, `"a`, `"a\"`, `"a\x"`, `"a",`, `"a","b`, `"a" "b"`, `"a";`, `"a";q`, `"a";q=`, `"a";q=x`, `"a";Q=1`,
		`"a";q=1234567890123456`, "\"\x7f\"", "\"\x00\"", `,"a"`, `"a";;q=1`, `"a";q=-`,
	} {
		_, ok := parseList(s)
		assert.False(t, ok, s)
	}
}

func FuzzStructuredFields(f *testing.F) {
	f.Add("default", int64(100), int64(60))
	f.Add(`a"b\`, int64(0), int64(-1))
	f.Add(", ;=", int64(2147483647), int64(31622400))
	f.Fuzz(func(t *testing.T, name string, q, w int64) {
		const most = 999_999_999_999_999
		if !isPrintable(name) || len(name) > ruleNameMax || q < -most || q > most || w < -most || w > most {
			return // compile refuses such rules
		}
		in := []member{{name, []param{{"q", q}, {"w", w}}}, {name, []param{{"r", w}, {"t", q}}}}
		out, ok := parseList(serialise(in))
		require.True(t, ok, serialise(in))
		require.Equal(t, in, out)
	})
}
