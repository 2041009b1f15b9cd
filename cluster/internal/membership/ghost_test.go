package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

// Who is missing by what others say: one alone is believed where there is nobody else to ask.
func TestGhosts(t *testing.T) {
	a, b := Member{Process: proc("a", 1), Live: true}, Member{Process: proc("b", 2), Live: true}
	roster := func(teller Member, hearsay bool) []Entry {
		return []Entry{{Process: teller.Process}, {Process: proc("self", 7)}, {Process: proc("x", 9), Addr: "x:1", State: Missing, Hearsay: hearsay}}
	}
	type told struct {
		by      Member
		hearsay bool
	}
	for _, c := range []struct {
		says   string
		have   []Member
		told   []told
		counts bool
	}{
		{"by the only other one", []Member{a}, []told{{a, false}}, true},
		{"by one of two", []Member{a, b}, []told{{a, false}}, false},
		{"by one of two, again and again", []Member{a, b}, []told{{a, false}, {a, false}}, false},
		{"by both", []Member{a, b}, []told{{a, false}, {b, false}}, true},
		{"by both, one of which has only heard so", []Member{a, b}, []told{{a, false}, {b, true}}, false},
		{"by nobody that is known", []Member{a}, []told{{b, false}}, false},
		{"by one, and the other does not answer", []Member{a, {Process: b.Process, Live: true, Silent: true}}, []told{{a, false}}, true},
		{"by one, and the other leaves", []Member{a, {Process: b.Process, Live: true, Leaving: true}}, []told{{a, false}}, true},
	} {
		m := known(c.have...)
		for _, x := range c.told {
			m.Learn(roster(x.by, x.hearsay), noon)
		}
		require.Equal(t, c.counts, m.Snapshot(noon).Misses, c.says)
		_, missing := m.Addresses(noon)
		require.Equal(t, c.counts, len(missing) == 1, c.says)
		require.Len(t, m.Roster(noon), 1+len(c.have)+map[bool]int{true: 1}[c.counts], "%s: a ghost is told to nobody", c.says)
	}
}

// Ghosts without end take no room, of those that are gone neither, and one that comes is a member.
func TestGhostsAreBounded(t *testing.T) {
	m := known(Member{Process: proc("a", 1), Live: true}, Member{Process: proc("b", 2), Live: true}, Member{Process: proc("c", 3), LostAt: noon - time.Second, met: true})
	for i := range 1000 {
		r := []Entry{{Process: proc("a", 1)}, {Process: proc("self", 7)}}
		for k := range 20 {
			r = append(r, Entry{Process: proc(fmt.Sprint("g", i, "-", k), ledger.Origin(k)), State: Missing})
		}
		m.Learn(r, noon)
	}
	require.Len(t, m.Doubted(), 20_000)
	require.Empty(t, m.Doubted())
	require.LessOrEqual(t, len(m.byName), 3+ghostsMost)
	require.Equal(t, Size{2 + 1, 3 + 1}, m.Snapshot(noon).Before().Size())
	m.Alive(proc("g0-0", 5), "g:1", false, noon)
	require.True(t, m.Knows(proc("g0-0", 5)))
	m.Learn(nil, noon+forget)
	require.LessOrEqual(t, len(m.byName), 4)
}
