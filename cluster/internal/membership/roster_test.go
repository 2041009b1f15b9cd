package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

const (
	forget = time.Minute
	noon   = time.Hour // some age
)

// known are members that know of some, with self as this node.
func known(all ...Member) *Members {
	m := New(Process{"self", 7}, forget, 0)
	m.started = true
	for _, x := range all {
		m.putLocked(x)
	}
	return m
}

// proc is a process of a node.
func proc(name string, origin ledger.Origin) Process { return Process{name, origin} }

func TestLearnWhoIsMissing(t *testing.T) {
	alive := Member{Process: proc("a", 1), Live: true}
	missing := Entry{Process: proc("b", 2), Addr: "b:1", State: Missing, Gone: 10 * time.Second}
	for _, c := range []struct {
		what  string
		have  []Member
		heard []Entry
		want  []Member
		guest bool
	}{
		{"one that was never met", []Member{alive}, []Entry{{Process: proc("a", 1)}, missing},
			[]Member{alive, {Process: proc("b", 2), Addr: "b:1", LostAt: noon - missing.Gone}}, true},
		{"and the sender knows this node", nil, []Entry{{Process: proc("self", 0)}, missing},
			[]Member{{Process: proc("b", 2), Addr: "b:1", LostAt: noon - missing.Gone}}, false},
		{"and to the sender this node is a guest", nil, []Entry{{Process: proc("self", 0), State: Visiting}, missing},
			[]Member{{Process: proc("b", 2), Addr: "b:1", LostAt: noon - missing.Gone}}, true},
		{"and this node was a guest before it started anew", nil, []Entry{{Process: proc("self", 0), State: MissingGuest}, missing},
			[]Member{{Process: proc("b", 2), Addr: "b:1", LostAt: noon - missing.Gone}}, true},
		{"a guest that was never met", nil, []Entry{{Process: proc("self", 0)}, {Process: proc("b", 2), State: MissingGuest}},
			[]Member{{Process: proc("b", 2), LostAt: noon, Guest: true}}, false},
		{"one that lives", []Member{{Process: proc("b", 2), Live: true}}, []Entry{missing}, []Member{{Process: proc("b", 2), Live: true}}, false},
		{"one that left", []Member{{Process: proc("b", 2), Leaving: true, LostAt: noon - 1}}, []Entry{missing},
			[]Member{{Process: proc("b", 2), Leaving: true, LostAt: noon - 1}}, false},
		{"one that is forgotten", nil, []Entry{{Process: proc("b", 0), State: Missing, Gone: forget}}, nil, false},
		{"one that left, and is missed here", []Member{{Process: proc("b", 2), LostAt: noon - 1}}, []Entry{{Process: proc("b", 2), State: Left}},
			[]Member{{Process: proc("b", 2), LostAt: noon - 1, Leaving: true}}, false},
		{"an older process of it left", []Member{{Process: proc("b", 3), LostAt: noon - 1}}, []Entry{{Process: proc("b", 2), State: Left}},
			[]Member{{Process: proc("b", 3), LostAt: noon - 1}}, false},
		{"one that lives, and does not answer who knows this node", []Member{alive}, []Entry{{Process: proc("self", 0)}, {Process: proc("a", 1), State: Quiet}},
			[]Member{alive}, false},
		{"one that left before this node came", nil, []Entry{{Process: proc("b", 2), Addr: "b:1", State: Left, Gone: 1}},
			[]Member{{Process: proc("b", 2), Addr: "b:1", Leaving: true, LostAt: noon - 1}}, false},
		{"a guest", []Member{alive, {Process: proc("b", 0), LostAt: noon - 1}}, []Entry{{Process: proc("a", 1), State: Visiting}},
			[]Member{{Process: proc("a", 1), Live: true, Guest: true}, {Process: proc("b", 0), LostAt: noon - 1}}, false},
		{"a guest, and nobody is missed here", []Member{alive}, []Entry{{Process: proc("a", 1), State: Visiting}}, []Member{alive}, false},
		{"an older node, which knows no roster", []Member{alive}, nil, []Member{alive}, false},
	} {
		m, want := known(c.have...), known(c.want...)
		m.Learn(c.heard, noon)
		require.Equal(t, want.byName, m.byName, c.what)
		require.Equal(t, c.guest, m.guest, c.what)
		require.False(t, m.Learn(c.heard, noon), "%s: no news the second time", c.what)
	}
}

// What a node hears while it starts counts when it has caught up; what it hears later of
// those that it knows says nothing new.
func TestLearnWhoIsFresh(t *testing.T) {
	for _, started := range []bool{false, true} {
		m := known(Member{Process: proc("a", 1), Live: true})
		m.started = started
		m.Learn([]Entry{{Process: proc("self", 0)}, {Process: proc("a", 1), State: Returning}}, noon)
		require.Equal(t, !started, m.Get("a").BackAt == noon)
		require.False(t, m.guest)

		m = known(Member{Process: proc("a", 1), Live: true})
		m.started = started
		m.Learn([]Entry{{Process: proc("a", 1), State: Quiet}}, noon)
		require.Equal(t, !started, m.Get("a").Silent, "silent until it answers this node")
		require.Equal(t, !started, m.guest, "it came while somebody did not answer")
	}
}

// Who counts at once, and who only when it has caught up.
func TestWhoMustCatchUp(t *testing.T) {
	const origin, before = ledger.Origin(2), noon - time.Second
	old := Member{Process: proc("b", 1), Live: true}
	for _, c := range []struct {
		what     string
		have     []Member
		expected int
		comes    ledger.Origin
		back     bool
		guest    bool
	}{
		{"a new node in a whole cluster", nil, 0, origin, false, false},
		{"one of those expected", nil, 2, origin, true, false},
		{"more than expected", []Member{{Process: proc("a", 0), Live: true}}, 2, origin, false, false},
		{"while another is missing", []Member{{Process: proc("a", 0), LostAt: before}}, 0, origin, true, true},
		{"while another is forgotten", []Member{{Process: proc("a", 0), LostAt: noon - forget}}, 0, origin, false, false},
		{"after another left", []Member{{Process: proc("a", 0), LostAt: before, Leaving: true}}, 0, origin, false, false},
		{"while another comes back", []Member{{Process: proc("a", 0), Live: true, BackAt: before}}, 0, origin, true, false},
		{"a restart that nobody noticed", []Member{old}, 0, origin, false, false},
		{"a restart after a crash", []Member{{Process: proc("b", 1), LostAt: before}}, 0, origin, true, false},
		{"a restart after a leave", []Member{{Process: proc("b", 1), LostAt: before, Leaving: true}}, 0, origin, false, false},
		{"the same while another is missing", []Member{{Process: proc("b", 1), LostAt: before, Leaving: true}, {Process: proc("a", 0), LostAt: before}}, 0, origin, true, false},
		{"a restart of a guest", []Member{{Process: proc("b", 1), Live: true, Guest: true}, {Process: proc("a", 0), LostAt: before}}, 0, origin, true, true},
		{"the same process again", []Member{{Process: proc("b", 2), LostAt: before}}, 0, origin, true, false},
		{"news of a living one", []Member{{Process: proc("b", 2), Live: true}, {Process: proc("a", 0), LostAt: before}}, 0, origin, false, false},
	} {
		m := known(c.have...)
		m.expected = c.expected
		m.Alive(proc("b", c.comes), "b:1", false, noon)
		got := m.Get("b")
		require.True(t, got.Live)
		require.Equal(t, c.back, got.BackAt == noon, c.what)
		require.Equal(t, c.guest, got.Guest, c.what)
	}
}

// A view is made of the members of a moment before. What was heard since stays.
func TestGuestsOfAnOldView(t *testing.T) {
	m := known(Member{Process: proc("a", 0), Live: true, Guest: true})
	m.Learn([]Entry{{Process: proc("a", 0)}, {Process: proc("b", 0), State: Missing}}, noon)
	m.NoGuests(noon)
	require.True(t, m.guest && m.Get("a").Guest)
	m.NoGuests(noon + forget)
	require.False(t, m.guest || m.Get("a").Guest)
}
