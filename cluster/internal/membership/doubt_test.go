package membership

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whom gossip takes for gone is asked, and judged by what it answers.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		what     string
		said     uint32
		answered bool
		nth      int
		want     Verdict
	}{
		{"it answers", 1, true, 0, Verdict{Remind: true, Pause: askPause}},
		{"it goes on answering", 1, true, askMost, Verdict{Remind: true, Pause: askPause}},
		{"gossip does not believe it", 1, true, askMost + 1, Verdict{Gone: true}},
		{"gossip has not heard of it", 0, true, askMost + 1, Verdict{Remind: true, Pause: askSlow}},
		{"it does not answer", 1, false, 0, Verdict{Gone: true}},
		{"it does not answer, nor has gossip heard of it", 0, false, 0, Verdict{Gone: true}},
	} {
		require.Equal(t, c.want, Judge(&Member{Process: proc("b", 1), Live: true, said: c.said}, c.answered, c.nth), c.what)
	}
}

// One doubt at a time for each name, until gossip agrees or the node is gone.
func TestDoubt(t *testing.T) {
	m := known()
	require.False(t, m.Doubt("b"), "nobody knows it")
	require.True(t, m.Alive(proc("b", 1), "b:1", false, noon))
	require.True(t, m.Settled("b"))
	require.True(t, m.Doubt("b"))
	require.False(t, m.Doubt("b"), "somebody asks already")
	require.False(t, m.Settled("b"))
	asked := m.Get("b")
	m.Alive(proc("b", 1), "b:1", false, noon) // it objected, and gossip spreads it
	require.True(t, m.Settled("b"))
	require.False(t, m.Lose(asked, noon), "gossip has spoken since it was asked")
	require.True(t, m.Doubt("b"))
	require.True(t, m.Lose(m.Get("b"), noon))
	require.True(t, m.Settled("b"))
}

// Of a process that connected before gossip told of it, gossip has to speak first.
func TestAgreed(t *testing.T) {
	m := known(Member{Process: proc("b", 1), Addr: "b:1", Live: true, said: 1})
	require.True(t, m.Get("b").Agreed())
	require.False(t, m.Restarted(proc("b", 2), "b:2", noon), "at another address it is a stranger")
	require.True(t, m.Restarted(proc("b", 2), "b:1", noon))
	require.False(t, m.Get("b").Agreed())
	require.False(t, m.Restarted(proc("b", 1), "b:1", noon), "the earlier one")
	m.Alive(proc("b", 2), "b:1", false, noon)
	require.True(t, m.Get("b").Agreed())
	require.True(t, m.Answered(proc("b", 1), "b:1", noon), "its clock was set back: it is there, and answers")
	require.Equal(t, proc("b", 1), m.Get("b").Process)
}

// What answers where a node vanished proves that the node is gone; so does this node itself.
func TestAnotherAnswersThere(t *testing.T) {
	m := known(Member{Process: proc("b", 1), Addr: "b:1", LostAt: noon - 1}, Member{Process: proc("c", 1), Addr: "c:1", LostAt: noon - 1},
		Member{Process: proc("d", 1), Addr: "b:1", Live: true, said: 1})
	require.Equal(t, []string{"b", "c", "d", "self"}, m.Snapshot(noon).Sets(table).Base)
	require.True(t, m.Answered(proc("d", 1), "b:1", noon))
	require.Equal(t, []string{"c", "d", "self"}, m.Snapshot(noon).Sets(table).Base)
	m.At("c:1")
	require.True(t, m.Learn(nil, noon))
	require.Equal(t, []string{"d", "self"}, m.Snapshot(noon).Sets(table).Base)
}

// Two of one name: the older one stays, and the younger one waits until it is gone.
func TestContest(t *testing.T) {
	c := NewContest(proc("self", 7))
	require.False(t, c.Begin(), "there is nobody")
	c.Suspect("x:1")
	require.True(t, c.Begin())
	require.False(t, c.Begin(), "somebody asks already")
	require.Nil(t, c.Answered("x:1", proc("self", 9), sameAge/2), "as old, with a larger origin")
	require.Nil(t, c.Answered("x:1", proc("self", 6), -time.Second), "younger")
	x := c.Answered("x:1", proc("self", 6), -sameAge/2)
	require.Equal(t, "x:1", x.Addr)
	_, is, over := c.Decide(x)
	require.True(t, is == x && !over && c.Rival() == x)
	for range contestTries {
		_, is, over = c.Decide(nil)
		require.True(t, is == x && !over, "it may answer again")
		c.Silent("x:1")
	}
	was, is, over := c.Decide(nil)
	require.True(t, was == x && is == nil && over && c.Rival() == nil)

	c.Suspect("y:1")
	require.True(t, c.Begin())
	require.Nil(t, c.Answered("y:1", proc("another", 1), time.Hour))
	_, _, over = c.Decide(nil)
	require.True(t, over)
}

// A dead address is tried less and less; one that answered, as often as at first.
func TestAttempts(t *testing.T) {
	var a Attempts
	p := Pauses{First: time.Second, Most: 8 * time.Second}
	age, tried := noon, 0
	for ; age < noon+time.Minute; age += 100 * time.Millisecond {
		if a.Begin("x:1", age) {
			require.False(t, a.Begin("x:1", age), "it is being tried")
			a.End("x:1", age, errors.New("nobody"), p)
			tried++
		}
	}
	require.InDelta(t, 11, tried, 4) // after 1, 2, 4 s, and then every 4 to 8 s
	for !a.Begin("x:1", age) {
		age += 100 * time.Millisecond
	}
	a.End("x:1", age, nil, p)
	require.True(t, a.Begin("x:1", age+p.First))
	for i := range attemptsMost - 1 {
		require.False(t, a.Crowded())
		a.Begin(string(rune('A'+i)), age)
	}
	require.True(t, a.Crowded())
}
