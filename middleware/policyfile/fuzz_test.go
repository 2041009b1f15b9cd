package policyfile

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// A scalar is read as everybody reads it, or not at all: a number as strconv writes it, a
// duration as time.ParseDuration reads it where that knows its units.
func FuzzScalars(f *testing.F) {
	for _, s := range []string{"20", "-3", "020", "0x1", "1_0", "1e3", "90s", "1d", "1w2d", "1.5h", "-5m", "", ".", "9999999999999999999w", "1h1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := decimal(s); ok {
			require.Equal(t, s, strconv.FormatInt(n, 10))
		}
		d, ok := duration(s)
		std, err := time.ParseDuration(s)
		if !ok {
			require.False(t, err == nil && strings.Trim(s, "0123456789nuµμmsh") == "" && s != "0", "%q is a duration", s)
			return
		}
		require.True(t, d >= 0 && d <= longest, "%q", s)
		if err == nil {
			require.Equal(t, min(std, longest), d, "%q", s)
		} else if !strings.ContainsAny(s, "dw") {
			require.Equal(t, longest, d, "%q", s)
		}
		twice, ok := duration(s + s)
		require.True(t, ok)
		require.Equal(t, min(2*d, limiter.MaxWindow+time.Hour), twice, "%q", s)
	})
}

// Whatever the text, the tree that is made of it has only what the decoder knows, and an
// error is about a line that is there.
func FuzzText(f *testing.F) {
	f.Add(reference)
	f.Add("a: &x [*x]\n? {\n")
	f.Add("\ufeff%YAML 1.2\r\n---\r\na: |\r\n  x\r\n...\r\n")
	f.Add("a: \"\\u2028\"\n- [")
	f.Add(strings.Repeat("- ", 100))
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parse([]byte(text))
		if err != nil {
			e, ok := err.(*Error)
			require.True(t, ok)
			require.LessOrEqual(t, e.Line, 1+strings.Count(text, "\n"))
			require.NotContains(t, e.Error(), "gave up")
			return
		}
		require.Nil(t, plain(root, 0))
		d := &decoder{lines: map[string]int{}, written: map[string]string{}, spelt: map[string]string{}}
		d.policy(root)
	})
}
