package membership

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const table = 5 // the fingerprint of one

// who are members in words: "b" lives, "b?" is back and has not caught up, "b!" is back and
// has, "b~" is silent, "b-" is missing, "b+" is a guest (also "b+?", "b+!"), "b<" left, "b>" is leaving.
func who(words string) (all []Member) {
	for _, w := range strings.Fields(words) {
		x := Member{Process: proc(w[:1], 1), Live: true}
		for _, c := range w[1:] {
			switch c {
			case '+':
				x.Guest = true
			case '?', '!':
				x.BackAt = noon - time.Second
				if c == '!' {
					x.caughtUp = table
				}
			case '-', '<':
				x.Live, x.LostAt, x.Leaving = false, noon-time.Second, c == '<'
			case '~':
				x.Silent = true
			case '>':
				x.Leaving = true
			}
		}
		all = append(all, x)
	}
	return all
}

// Who counts, in all situations. s is this node, "s+" if it is a guest.
func TestSets(t *testing.T) {
	for _, c := range []struct {
		have             string
		expected         int
		with, base       string
		before, baseThen string // empty: as with and base
	}{
		{"s", 0, "s", "s", "", ""},
		{"s b c", 0, "bcs", "bcs", "", ""},
		{"s b c<", 0, "bs", "bs", "", ""},
		{"s b c>", 0, "bs", "bs", "", ""},
		{"s b c-", 0, "bs", "bcs", "", ""},
		{"s b c- g+", 0, "bs", "bcs", "", ""},
		{"s+ b c-", 0, "b", "bc", "", ""},
		{"s b c- d- g+", 5, "bgs", "bcdgs", "", ""}, // all are expected
		{"s b c- d- g+?", 5, "bs", "bcdgs", "", ""},
		{"s b c- d- g+!", 5, "bgs", "bcdgs", "bs", "bcdgs"},
		{"s b c- d- g+", 4, "bs", "bcds", "", ""},
		{"s b? c- g+", 0, "s", "bcs", "", ""},
		{"s b! c- g+", 0, "bs", "bcs", "s", "bcs"},
		{"s b? g+", 0, "s", "bs", "", ""},
		{"s b! g+", 0, "bgs", "bgs", "s", "bs"},
		{"s b! g+?", 0, "s", "bs", "", ""},
		{"s+ b! g+", 0, "bgs", "bgs", "", "b"},
		{"s+ b g+", 0, "bgs", "bgs", "", ""},
		{"s b c? d!", 0, "bs", "bcds", "", ""}, // those that came back count together
		{"s b c! d!", 0, "bcds", "bcds", "bs", "bcds"},
		{"s b c! d?>", 0, "bcs", "bcs", "bs", "bcs"}, // who leaves is not waited for
		{"s b~ c", 0, "cs", "bcs", "", ""},
		{"s b~ c d?", 0, "cs", "bcds", "", ""},
		{"s b~ c d!", 0, "cds", "bcds", "cs", "bcds"}, // who does not answer is not waited for
		{"s b~? c", 0, "cs", "bcs", "", ""},
		{"s b~? c d!", 0, "cds", "bcds", "cs", "bcds"},
		{"s b~ g+", 5, "gs", "bgs", "", ""},
	} {
		m := New(proc("s", 1), forget, c.expected)
		for _, x := range who(c.have) {
			if m.putLocked(x); x.Name == "s" {
				m.guest = x.Guest
				delete(m.byName, "s")
			}
		}
		s := m.Snapshot(noon)
		sets := s.Sets(table)
		require.Equal(t, []string{c.with, c.base}, []string{strings.Join(sets.With, ""), strings.Join(sets.Base, "")}, "%+v", c)
		require.Equal(t, Size{len(c.with), max(len(c.base), c.expected)}, sets.Size(), "%+v", c)
		if c.baseThen == "" {
			c.before, c.baseThen = c.with, c.base
		}
		sets = s.Before()
		require.Equal(t, []string{c.before, c.baseThen}, []string{strings.Join(sets.With, ""), strings.Join(sets.Base, "")}, "before: %+v", c)
		require.Equal(t, !strings.ContainsAny(c.have, "-?!~"), s.Over(), "%+v", c)
		require.Equal(t, s.Sets(table), s.Without([]string{"nobody"}).Sets(table))
	}
}

// What a process has sent, the next one of its name has not: it may know more, or nothing.
func TestANewProcessHasNotCaughtUp(t *testing.T) {
	for _, gone := range []bool{false, true} {
		m := known(who("b")...)
		require.True(t, m.CaughtUp(proc("b", 1), table))
		require.True(t, m.HasCaughtUp("b", table))
		if gone {
			require.True(t, m.Lose(m.Get("b"), noon))
		}
		require.True(t, m.Alive(proc("b", 2), "", false, noon))
		require.False(t, m.HasCaughtUp("b", table))
		require.False(t, m.Snapshot(noon).CaughtUp(table))
	}
}

// Another table's barrier says nothing; and nobody is waited for longer than HealTime.
func TestTheBarrierIsThatOfOneTable(t *testing.T) {
	m := known(who("b c!")...)
	require.Equal(t, []string{"b", "c", "self"}, m.Snapshot(noon).Sets(table).With)
	require.True(t, m.Snapshot(noon).Sets(table).Size().Whole())
	require.Equal(t, []string{"b", "self"}, m.Snapshot(noon).Sets(table+1).With)
	require.Equal(t, []string{"b", "c", "self"}, m.Snapshot(noon+HealTime).Sets(table+1).With)
	require.Equal(t, HealTime-time.Second, m.Snapshot(noon).ReviseIn())
	require.False(t, m.Snapshot(noon).CaughtUp(table)) // b has not said so
	require.True(t, m.CaughtUp(proc("b", 1), table))
	require.False(t, m.CaughtUp(proc("b", 1), table), "no news the second time")
	require.False(t, m.CaughtUp(proc("b", 2), table), "another process")
	require.True(t, m.Snapshot(noon).CaughtUp(table))
	require.True(t, m.Lose(m.Get("b"), noon))
	require.Equal(t, HealTime-time.Second, m.Snapshot(noon).ReviseIn())
	require.Equal(t, forget-HealTime, m.Snapshot(noon+HealTime).ReviseIn())
	require.Equal(t, []string{"c", "self"}, m.Snapshot(noon+forget).Sets(table).Base)
}

// Who caught up by a table says so again when it is the table once more.
func TestTurned(t *testing.T) {
	m := known(who("b c")...)
	require.True(t, m.CaughtUp(proc("b", 1), table))
	require.True(t, m.CaughtUp(proc("c", 1), table+1)) // it is ahead
	before := m.Snapshot(noon)
	m.Turned(table)
	for _, s := range []*Snapshot{before.Turned(table), m.Snapshot(noon)} {
		require.False(t, s.Without([]string{"c"}).CaughtUp(table))
		require.True(t, s.Without([]string{"b"}).CaughtUp(table+1))
	}
	require.True(t, before.Without([]string{"c"}).CaughtUp(table), "a snapshot never changes")
	require.True(t, m.CaughtUp(proc("b", 1), table), "it is news")
}

// A node that has a new process is, for a moment, as if it were not there.
func TestSnapshotWithout(t *testing.T) {
	s := known(who("b c! d-")...).Snapshot(noon).Without([]string{"c"})
	require.Equal(t, Sets{With: []string{"b", "self"}, Base: []string{"b", "d", "self"}}, s.Sets(table))
	require.False(t, s.Healing())
	require.True(t, s.Misses)
}

// Who was silent counts again when it has told what it admitted meanwhile, or after a while,
// and not before, whatever gossip says.
func TestSilent(t *testing.T) {
	m := known(Member{Process: proc("b", 1), Addr: "b:1", Live: true, said: 1, caughtUp: table})
	whole := func(age time.Duration) bool { return m.Snapshot(age).Sets(table).Size().Whole() }
	require.True(t, whole(noon))
	require.False(t, m.Heard(proc("b", 1), noon), "it was never silent")
	require.False(t, m.Silent(proc("b", 2)), "another process")
	require.True(t, m.Silent(proc("b", 1)))
	require.False(t, m.Silent(proc("b", 1)), "no news the second time")
	require.False(t, whole(noon))
	require.True(t, m.Snapshot(noon).CaughtUp(table), "nobody waits for it")
	m.Alive(proc("b", 1), "b:1", false, noon)
	require.False(t, whole(noon), "gossip hears it, this node does not")
	require.True(t, m.Heard(proc("b", 1), noon))
	require.False(t, whole(noon))
	require.True(t, m.CaughtUp(proc("b", 1), table))
	require.True(t, whole(noon))
	m.Silent(proc("b", 1))
	m.Heard(proc("b", 1), noon)
	require.False(t, whole(noon+HealTime-1))
	require.True(t, whole(noon+HealTime))
	m.Silent(proc("b", 1))
	require.True(t, m.Restarted(proc("b", 2), "b:1", noon+HealTime))
	require.False(t, whole(noon+HealTime), "it may have been on another side")
	require.True(t, whole(noon+2*HealTime))
}
