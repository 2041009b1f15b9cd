package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

const (
	forget = time.Minute
	noon   = time.Hour // some age
)

func newMembers(all ...member) *members {
	m := &members{self: "self", forget: forget, started: true}
	for _, x := range all {
		m.putLocked(x)
	}
	return m
}

func TestLearnWhoIsMissing(t *testing.T) {
	alive := member{name: "a", origin: 1, live: true}
	missing := entry{name: "b", addr: "b:1", origin: 2, state: stateMissing, gone: 10 * time.Second}
	for _, c := range []struct {
		what  string
		have  []member
		heard []entry
		want  []member
		guest bool
	}{
		{"one that was never met", []member{alive}, []entry{{name: "a", origin: 1}, missing},
			[]member{alive, {name: "b", addr: "b:1", origin: 2, lostAt: noon - missing.gone}}, true},
		{"and the sender knows this node", nil, []entry{{name: "self"}, missing},
			[]member{{name: "b", addr: "b:1", origin: 2, lostAt: noon - missing.gone}}, false},
		{"and to the sender this node is a guest", nil, []entry{{name: "self", state: stateGuest}, missing},
			[]member{{name: "b", addr: "b:1", origin: 2, lostAt: noon - missing.gone}}, true},
		{"one that lives", []member{{name: "b", origin: 2, live: true}}, []entry{missing}, []member{{name: "b", origin: 2, live: true}}, false},
		{"one that left", []member{{name: "b", origin: 2, leaving: true, lostAt: noon - 1}}, []entry{missing},
			[]member{{name: "b", origin: 2, leaving: true, lostAt: noon - 1}}, false},
		{"one that is forgotten", nil, []entry{{name: "b", state: stateMissing, gone: forget}}, nil, false},
		{"one that left, and is missed here", []member{{name: "b", origin: 2, lostAt: noon - 1}}, []entry{{name: "b", origin: 2, state: stateLeft}},
			[]member{{name: "b", origin: 2, lostAt: noon - 1, leaving: true}}, false},
		{"an older process of it left", []member{{name: "b", origin: 3, lostAt: noon - 1}}, []entry{{name: "b", origin: 2, state: stateLeft}},
			[]member{{name: "b", origin: 3, lostAt: noon - 1}}, false},
		{"one that left before this node came", nil, []entry{{name: "b", addr: "b:1", origin: 2, state: stateLeft, gone: 1}},
			[]member{{name: "b", addr: "b:1", origin: 2, leaving: true, lostAt: noon - 1}}, false},
		{"a guest", []member{alive, {name: "b", lostAt: noon - 1}}, []entry{{name: "a", origin: 1, state: stateGuest}},
			[]member{{name: "a", origin: 1, live: true, guest: true}, {name: "b", lostAt: noon - 1}}, false},
		{"a guest, and nobody is missed here", []member{alive}, []entry{{name: "a", origin: 1, state: stateGuest}}, []member{alive}, false},
		{"an older node, which knows no roster", []member{alive}, nil, []member{alive}, false},
	} {
		m, want := newMembers(c.have...), newMembers(c.want...)
		m.learn(c.heard, noon)
		require.Equal(t, want.byName, m.byName, c.what)
		require.Equal(t, c.guest, m.isGuest(), c.what)
		require.False(t, m.learn(c.heard, noon), "%s: no news the second time", c.what)
	}
}

// What a node hears while it starts counts when it has caught up; what it hears later of
// those that it knows says nothing new.
func TestLearnWhoIsFresh(t *testing.T) {
	for _, started := range []bool{false, true} {
		m := newMembers(member{name: "a", origin: 1, live: true})
		m.started = started
		m.learn([]entry{{name: "self"}, {name: "a", origin: 1, state: stateFresh}}, noon)
		require.Equal(t, !started, m.get("a").backAt == noon)
	}
}

// Who counts at once, and who only when it has caught up.
func TestWhoMustCatchUp(t *testing.T) {
	const origin, before = limiter.Origin(2), noon - time.Second
	old := member{name: "b", origin: 1, live: true}
	for _, c := range []struct {
		what     string
		have     []member
		expected int
		comes    limiter.Origin
		back     bool
		guest    bool
	}{
		{"a new node in a whole cluster", nil, 0, origin, false, false},
		{"one of those expected", nil, 2, origin, true, false},
		{"more than expected", []member{{name: "a", live: true}}, 2, origin, false, false},
		{"while another is missing", []member{{name: "a", lostAt: before}}, 0, origin, true, true},
		{"while another is forgotten", []member{{name: "a", lostAt: noon - forget}}, 0, origin, false, false},
		{"after another left", []member{{name: "a", lostAt: before, leaving: true}}, 0, origin, false, false},
		{"while another comes back", []member{{name: "a", live: true, backAt: before}}, 0, origin, true, false},
		{"a restart that nobody noticed", []member{old}, 0, origin, false, false},
		{"a restart after a crash", []member{{name: "b", origin: 1, lostAt: before}}, 0, origin, true, false},
		{"a restart after a leave", []member{{name: "b", origin: 1, lostAt: before, leaving: true}}, 0, origin, false, false},
		{"the same while another is missing", []member{{name: "b", origin: 1, lostAt: before, leaving: true}, {name: "a", lostAt: before}}, 0, origin, true, false},
		{"a restart of a guest", []member{{name: "b", origin: 1, live: true, guest: true}, {name: "a", lostAt: before}}, 0, origin, true, true},
		{"the same process again", []member{{name: "b", origin: 2, lostAt: before}}, 0, origin, true, false},
		{"news of a living one", []member{{name: "b", origin: 2, live: true}, {name: "a", lostAt: before}}, 0, origin, false, false},
	} {
		m := newMembers(c.have...)
		m.expected = c.expected
		m.see("b", "b:1", meta{origin: c.comes}, noon)
		got := m.get("b")
		require.True(t, got.live)
		require.Equal(t, c.back, got.backAt == noon, c.what)
		require.Equal(t, c.guest, got.guest, c.what)
	}
}

// Guests count neither as seen nor as known while somebody is missing, or has just come
// back and not told yet, unless there are no more nodes than expected.
func TestGuestsInAView(t *testing.T) {
	type counts struct{ heard, known, before, knownBefore int }
	const untold, told = 1, 2
	for _, c := range []struct {
		vanished, expected int
		self               bool // is a guest
		back               int  // b has come back
		guestBack          int  // the guest g has just come
		want               counts
	}{
		{2, 0, false, 0, 0, counts{2, 4, 2, 4}}, // self and b of those two and the missing
		{2, 0, true, 0, 0, counts{1, 3, 1, 3}},  // b of b and the missing
		{2, 5, false, 0, 0, counts{3, 5, 3, 5}}, // all are expected
		{2, 5, false, 0, untold, counts{2, 5, 2, 5}},
		{2, 5, false, 0, told, counts{3, 5, 2, 5}},
		{2, 4, false, 0, 0, counts{2, 4, 2, 4}},
		{1, 0, false, untold, 0, counts{1, 3, 1, 3}},
		{1, 0, false, told, 0, counts{2, 3, 1, 3}},
		{0, 0, false, untold, 0, counts{1, 2, 1, 2}},
		{0, 0, false, told, 0, counts{3, 3, 1, 2}},
		{0, 0, false, told, untold, counts{1, 2, 1, 2}},
		{0, 0, true, told, 0, counts{3, 3, 0, 1}},
		{0, 0, true, 0, 0, counts{3, 3, 3, 3}},
		{0, 3, true, 0, 0, counts{3, 3, 3, 3}},
	} {
		v, _, _, _ := someView(t)
		n := &Node{cfg: Config{ExpectedNodes: c.expected}}
		n.members.guest = c.self
		n.clock.init(nil)
		b, g := &member{name: "b", live: true}, &member{name: "g", live: true, guest: true}
		for x, back := range map[*member]int{b: c.back, g: c.guestBack} {
			n.members.putLocked(*x)
			if back > 0 {
				x.backAt = 1
			}
			if back == told {
				n.members.caughtUp(x.name, x.origin, v.table.Fingerprint())
			}
		}
		v.byName["g"], v.seen = &peer{}, 3
		n.count(v, []*member{b, g}, c.vanished)
		require.Equal(t, c.want, counts{v.heard, v.known, v.before, v.knownBefore}, "%+v", c)
		over := c.vanished == 0 && c.back == 0 && c.guestBack == 0 // all are members like any other
		require.Equal(t, !over, n.members.get("g").guest, "%+v", c)
		require.Equal(t, c.self && !over, n.members.isGuest(), "%+v", c)
	}
}

// A view is made of the members of a moment before. What was heard since stays.
func TestGuestsOfAnOldView(t *testing.T) {
	m := newMembers(member{name: "a", live: true, guest: true})
	m.learn([]entry{{name: "b", state: stateMissing}}, noon)
	m.noGuests(noon)
	require.True(t, m.isGuest() && m.get("a").guest)
	m.noGuests(noon + forget)
	require.False(t, m.isGuest() || m.get("a").guest)
}
