package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vectors is testdata/vectors.json, on which the clients of all three languages run.
// testdata/README.md describes the format.
type vectors struct {
	Now   int64
	Parse []parseVector
	Calls []callVector
	Pace  []paceVector
}

// vectorsRun counts the cases that were run, by section.
var vectorsRun struct{ parse, calls, pace atomic.Int64 }

// TestMain prints how many vectors were run where all of them were: the counts of the
// three languages must be equal, and CI compares them.
func TestMain(m *testing.M) {
	code := m.Run()
	p, c, q := vectorsRun.parse.Load(), vectorsRun.calls.Load(), vectorsRun.pace.Load()
	if p > 0 && c > 0 && q > 0 {
		fmt.Printf("vectors go: parse %d, calls %d, pace %d, total %d\n", p, c, q, p+c+q)
	}
	os.Exit(code)
}

// load reads the table. A field that this runner does not know is an error: it would
// be a part of a case that is not tested.
func load(t *testing.T) (v vectors) {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&v))
	return v
}

// text is a string, or a list of strings and [string, times].
type text string

func (x *text) UnmarshalJSON(raw []byte) error {
	var whole string
	if json.Unmarshal(raw, &whole) == nil {
		*x = text(whole)
		return nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	var b strings.Builder
	for _, part := range parts {
		if json.Unmarshal(part, &whole) == nil {
			b.WriteString(whole)
			continue
		}
		times := 0
		if err := json.Unmarshal(part, &[]any{&whole, &times}); err != nil {
			return err
		}
		b.WriteString(strings.Repeat(whole, times))
	}
	*x = text(b.String())
	return nil
}

// line is one header: name, value, and how many such lines, 1 if it is not said.
type line struct {
	name, value string
	unix, date  *int64 // in the place of value: seconds from the answer's arrival
	lines       int
}

func (l *line) UnmarshalJSON(raw []byte) error {
	var value json.RawMessage
	l.lines = 1
	if err := json.Unmarshal(raw, &[]any{&l.name, &value, &l.lines}); err != nil {
		return err
	}
	if value[0] == '{' {
		return json.Unmarshal(value, &struct{ Unix, Date **int64 }{&l.unix, &l.date})
	}
	return json.Unmarshal(value, (*text)(&l.value))
}

// headerAt is the headers of an answer that arrives at now.
func headerAt(lines []line, now time.Time) http.Header {
	h := http.Header{}
	for _, l := range lines {
		switch {
		case l.unix != nil:
			l.value = fmt.Sprint(now.Unix() + *l.unix)
		case l.date != nil:
			l.value = now.Add(time.Duration(*l.date) * time.Second).UTC().Format(http.TimeFormat)
		}
		for range l.lines {
			h.Add(l.name, l.value)
		}
	}
	return h
}

// seconds is a time or a wait in the table.
type seconds float64

func (s seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// limitWant is what is known; what is absent is unknown.
type limitWant struct {
	Limit, Remaining              *int64
	Reset, ResetAfter, RetryAfter *float64
	Policy                        string
}

// check compares what was read with what is wanted.
func (w limitWant) check(t *testing.T, r RateLimit) {
	t.Helper()
	const tolerance = 1e-6
	count := func(name string, want *int64, known bool, got int64) {
		if want == nil {
			assert.Equal(t, []any{false, int64(0)}, []any{known, got}, name)
			return
		}
		assert.Equal(t, []any{true, *want}, []any{known, got}, name)
	}
	span := func(name string, want *float64, known bool, got time.Duration) {
		if want == nil {
			assert.Equal(t, []any{false, time.Duration(0)}, []any{known, got}, name)
			return
		}
		assert.True(t, known, name)
		assert.InDelta(t, *want, got.Seconds(), tolerance, name)
	}
	count("limit", w.Limit, r.LimitKnown, r.Limit)
	count("remaining", w.Remaining, r.RemainingKnown, r.Remaining)
	span("resetAfter", w.ResetAfter, r.ResetKnown, r.ResetAfter)
	span("retryAfter", w.RetryAfter, r.RetryAfterKnown, r.RetryAfter)
	assert.Equal(t, w.Policy, r.Policy, "policy")
	if w.Reset != nil {
		assert.InDelta(t, *w.Reset, float64(r.Reset.UnixNano())/1e9, tolerance, "reset")
	}
	if w.ResetAfter == nil {
		assert.True(t, r.Reset.IsZero(), "reset")
	}
}

type parseVector struct {
	Name    string
	Headers []line
	Want    limitWant
}

func TestVectorsParse(t *testing.T) {
	v := load(t)
	now := time.Unix(v.Now, 0)
	for _, c := range v.Parse {
		t.Run(c.Name, func(t *testing.T) {
			vectorsRun.parse.Add(1)
			h := headerAt(c.Headers, now)
			r := ParseRateLimit(h, now)
			c.Want.check(t, r)
			assert.Equal(t, now, r.Received)
			checkSane(t, h, r)
		})
	}
}
