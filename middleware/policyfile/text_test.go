package policyfile_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// What editors and other programs put around a text changes neither what it means nor
// which line an error is told for.
func TestFramesOfText(t *testing.T) {
	const text = "default:\n  - name: a\n    quota: 5\n\n    window: 1s # said\n"
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, c := range []struct {
		name, before, after string
		change              func(string) string
		lines               int // before the text
	}{
		{name: "nothing"},
		{name: "byte order mark", before: "\ufeff"},
		{name: "CRLF", change: crlf},
		{name: "CRLF and a byte order mark", before: "\ufeff", change: crlf},
		{name: "a start marker", before: "---\n", lines: 1},
		{name: "a start marker with a comment", before: "--- # limits\n", lines: 1},
		{name: "an end marker", after: "...\n"},
		{name: "an end marker and a comment", after: "... # end\n# of file\n"},
		{name: "both markers", before: "---\n", after: "...\n", lines: 1},
		{name: "a separator at the end", after: "---\n"},
		{name: "a version", before: "%YAML 1.2\n---\n", lines: 2},
		{name: "an old version", before: "%YAML 1.1\n---\n", lines: 2},
		{name: "a version with a comment before", before: "# limits\n\n%YAML 1.2\n---\n", lines: 4},
		{name: "a mark, a version, CRLF", before: "\ufeff%YAML 1.2\n---\n", after: "...\n", lines: 2, change: crlf},
		{name: "empty lines", before: "\n\n\n", after: "\n\n", lines: 3},
		{name: "no line end", change: strings.TrimSpace},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame := func(s string) []byte {
				s = c.before + s + c.after
				if c.change != nil {
					s = c.change(s)
				}
				return []byte(s)
			}
			p, err := policyfile.Parse(frame(text), policyfile.Options{})
			require.NoError(t, err)
			assert.Equal(t, "a 5 1s", fmt.Sprint(p.Default[0].Name, " ", p.Default[0].Limit.Quota, " ", p.Default[0].Limit.Window))

			for wrong, line := range map[string]int{
				strings.Replace(text, "1s", "90", 1):              5,
				strings.Replace(text, "quota", "qouta", 1):        3,
				strings.Replace(text, "1s", "1h\n    cost: 9", 1): 6,
				strings.Replace(text, "5", "0x5", 1):              3,
				strings.Replace(text, "5", "5: 6", 1):             3,
				strings.Replace(text, "    quota", "\tquota", 1):  3,
			} {
				_, err := policyfile.Parse(frame(wrong), policyfile.Options{})
				require.ErrorIs(t, err, middleware.ErrPolicy)
				assert.Contains(t, err.Error(), fmt.Sprintf("policyfile: %d: ", line+c.lines), "%q", wrong)
			}
		})
	}
}

// What would be read in one way by its author and in another by the service is refused, with
// its line.
func TestTextsThatNobodyReadsAlike(t *testing.T) {
	for text, want := range map[string]string{
		good + "shadow: false\u2028problem: true\n":                   `2: '\u2028' is a control character`,
		good + "shadow: false\u2029problem: true\n":                   `2: '\u2029' is a control character`,
		good + "shadow: false\u0085problem: true\n":                   `2: '\u0085' is a control character`,
		good + "shadow: false\rproblem: true\n":                       `2: '\r' is a control character`,
		good + "\n# \x00\n":                                           `3: '\x00' is a control character`,
		good + "\n# \x1b[2K\n":                                        `3: '\x1b' is a control character`,
		good + "\n\ufeffshadow: true\n":                               `3: '\ufeff' is a control character`,
		good + "\n# \xff\n":                                           `3: the file is not UTF-8 text`,
		"\xff\xfed\x00e\x00f\x00":                                     `1: the file is not UTF-8 text`,
		"%YAML 2.0\n---\n" + good:                                     `1: found incompatible YAML document`,
		"%YAML 1.2\n%YAML 1.2\n---\n" + good:                          `2: found incompatible YAML document`,
		"%FOO bar\n---\n" + good:                                      `1: found unknown directive name`,
		good + "---\nshadow: true\n":                                  `3: there is more than one document`,
		good + "...\nshadow: true\n":                                  `3: there is more than one document`,
		"default: &d [{name: a, quota: 1, window: 1s}]\nalways: *d\n": `1: default: &d is an anchor`,
		"default: [{name: a, quota: 1, window: 1s, <<: {cost: 1}}]":   `1: default[0]: << is not a field's name`,
		"default: [{name: a, quota: 1, window: 1s, window: 1h}]":      `1: default[0].window: is there twice`,
		"default: [{name: a, quota: 1, 'window': 1s, window: 1h}]":    `1: default[0].window: is there twice`,
		"default: [{name: a, quota: !!str 1, window: 1s}]":            `1: default[0].quota: !!str is a tag`,
		"default: [{name: a, quota: ! 1, window: 1s}]":                `1: default[0].quota: ! is a tag`,
		"default: [{name: a, quota: 1, window: 1s}]\n5: 5\n":          `2: 5 is not a field's name`,
		"default: [{name: a, quota: 1, window: 1s}]\n? [a]\n: 5\n":    `2: is not a field's name`,
	} {
		_, err := policyfile.Parse([]byte(text), policyfile.Options{})
		require.ErrorIs(t, err, middleware.ErrPolicy, "%q", text)
		assert.Contains(t, err.Error(), "policyfile: "+want, "%q", text)
	}
}

// hostile are texts of at most one byte too much that made a parser slow or hungry.
func hostile() map[string]string {
	const size = 128 << 10
	texts := map[string]string{
		"nested lists in a line":    strings.Repeat("- ", 65000),
		"a literal of empty lines":  "default: |\n" + strings.Repeat("\n", 65000),
		"nested mappings, indented": "",
		"nested lists, indented":    "",
		"aliases of aliases":        "",
		"many fields":               "",
		"one long line":             "default: " + strings.Repeat("x ", 60000),
		"a tower of questions":      strings.Repeat("? ", 65000),
		"quoted line ends":          "default: \"" + strings.Repeat("\n", 100000) + "\"",
		"comments":                  good + strings.Repeat("#\n", 60000),
		"documents":                 strings.Repeat("---\n", 30000),
		"lists in a list":           "default: [" + strings.Repeat("[]\n", 40000),
		"quotes in a list":          "default: [" + strings.Repeat("\"", 130000),
		"too large":                 strings.Repeat("#", size+1),
	}
	grow := func(name string, one func(i int) string) {
		var b strings.Builder
		for i := 0; b.Len() < size-1000; i++ {
			b.WriteString(one(i))
		}
		texts[name] = b.String()
	}
	grow("nested mappings, indented", func(i int) string { return strings.Repeat(" ", i) + "a:\n" })
	grow("nested lists, indented", func(i int) string { return strings.Repeat(" ", i) + "-\n" })
	grow("many fields", func(i int) string { return fmt.Sprintf("k%d: 1\n", i) })
	grow("many fields of a line", func(i int) string { return fmt.Sprintf("%sk%d: 1,", map[bool]string{true: "{"}[i == 0], i) })
	grow("aliases of aliases", func(i int) string { return fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d]\n", i, i, i-1, i-1, i-1) })
	for _, token := range []string{
		"! ", "!a ", "&a ", "*a ", "[", "{", "{a: ", "[]\n", "'' ", `"`, "a: ", "a:\n", "%a\n", "...\n", ",", "|\n", ">\n", "- |\n a\n", "[a]: 1\n", "\t", "[],",
	} {
		texts[fmt.Sprintf("%q", token)] = strings.Repeat(token, size/len(token))
	}
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const rule = "{name: r%d,quota: 1,window: 1s},"
	texts["rules for each pattern"] = "always: [" + many(1000, rule) + "]\nroutes: [{rules: [{name: r,quota: 1,window: 1s}],pattern: [" + many(2900, "/%x,") + "]}]"
	texts["plans for each pattern"] = "routes: [{rules: [{name: r,quota: 1,window: 1s,plan: bearer,plans: {" + many(2000, "p%d: {quota: 1},") + "}}],pattern: [" + many(2900, "/%x,") + "]}]"
	texts["patterns that are compared"] = good + "routes: [{exempt: true,pattern: [" + many(9000, "/%x/,") + "]}]"
	texts["methods that are compared"] = good + "routes: [{exempt: true,pattern: [" + many(9000, "M%X /,") + "]}]"
	texts["a deep pattern"] = good + "routes: [{exempt: true,pattern: [/" + strings.Repeat("a/", 30000) + "," + many(2900, "/%x/,") + "]}]"
	texts["a long name for each of a list"] = "? " + strings.Repeat("k", 60000) + "\n: [" + strings.Repeat("1,", 30000) + "]"
	texts["a long name of a plan"] = "default: [{name: a,quota: 1,window: 1s,plan: bearer,plans: {? " + strings.Repeat("k", 60000) + "\n : {" + many(6000, "k%d: 1,") + "}}}]"
	return texts
}

// A policy of a thousand routes, with what is usual for each, is far within the bounds, and
// the networks of an address are kept once however many patterns count by it.
func TestLargePolicies(t *testing.T) {
	var trusted, routes strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&trusted, "10.%d.%d.0/24,", i/200, i%200)
		fmt.Fprintf(&routes, "- pattern: POST /v1/r%d/{id}\n  rules: [{name: r%d, quota: 5, window: 1m}]\n", i, i)
	}
	text := "address: {trusted: [" + trusted.String() + "]}\nalways: [{name: a, quota: 9, window: 1s}, {name: b, quota: 9, window: 1h, key: {join: [{header: X-A}, client-ip]}}]\nroutes:\n" + routes.String()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := policyfile.Parse([]byte(text), policyfile.Options{})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))
}

// No text stops the service: each is refused, at a cost that is bounded by what a policy
// file may be. The figure is in memory, as that of time depends on the machine; the two go
// together, since what was slow in a parser was copying.
func TestHostileTexts(t *testing.T) {
	const most = 100 << 20 // of which the collector gets back nearly all at once
	for name, text := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := policyfile.Parse([]byte(text), policyfile.Options{})
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, middleware.ErrPolicy, name)
		assert.Less(t, len(err.Error()), 1000, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(most), name)
	}
}

// The nesting is bounded exactly, in brackets and in blocks, and far above what a policy
// needs; text in strings and comments does not count.
func TestDepth(t *testing.T) {
	key := func(n int) string { // n levels of keys
		return strings.Repeat("{first: [", n) + "bearer" + strings.Repeat("]}", n)
	}
	rule := func(key string) string {
		return "default: [{name: a, quota: 1, window: 1s, key: " + key + "}] # " + strings.Repeat("[", 99) + "\n"
	}
	block := func(n int) string { // the same in blocks
		b := &strings.Builder{}
		b.WriteString("default:\n- name: '" + strings.Repeat("{", 60) + "'\n  quota: 1\n  window: 1s\n  key:")
		for i := range n {
			at := strings.Repeat("  ", i+2)
			fmt.Fprintf(b, "\n%sfirst:\n%s-", at, at)
		}
		b.WriteString(" bearer\n")
		return b.String()
	}
	for n, deep := range map[int]bool{1: false, 5: false, 14: false, 16: true, 1000: true} {
		for _, text := range []string{rule(key(n)), block(n)} {
			if len(text) > 128<<10 {
				continue
			}
			_, err := policyfile.Parse([]byte(text), policyfile.Options{})
			if !deep {
				assert.NoError(t, err, text)
				continue
			}
			assert.ErrorContains(t, err, "it is nested more than 32 deep", n)
		}
	}
}
