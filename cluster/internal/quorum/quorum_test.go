package quorum

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLists(t *testing.T) {
	of := func(names ...string) List {
		l, err := NewList(names)
		require.NoError(t, err)
		return l
	}
	for _, c := range []struct {
		a, b List
		meet bool
	}{
		{of("a", "b", "c"), of("c", "b", "a"), true},
		{of("a", "b", "c"), of("a", "b", "c", "d"), true},
		{of("a", "b"), of("a", "b", "c"), true},
		{of("a", "b", "c"), of("a", "b", "d"), false}, // {a, c} and {b, d}
		{of("a", "b", "c"), of("a", "b", "c", "d", "e"), false},
		{of("a"), of("b"), false},
		{of(), of("a"), false},
		{of(), of(), false},
	} {
		assert.Equal(t, c.meet, c.a.Meets(c.b.Marks()), "%v and %v", c.a, c.b)
		assert.Equal(t, c.meet, c.b.Meets(c.a.Marks()), "%v and %v", c.b, c.a)
		if c.meet {
			assert.Greater(t, c.a.Majority()+c.b.Majority(), max(c.a.Len(), c.b.Len()))
		}
	}
	for _, names := range [][]string{{"a", "a"}, {""}, {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}} {
		_, err := NewList(names)
		assert.Error(t, err, "%v", names)
	}
	assert.Equal(t, 1, of("c", "b").Index("c"))
	assert.Equal(t, -1, of("c", "b").Index("a"))
}

// A voter that starts anew must not vote while somebody who does not answer may know what
// it has forgotten.
func TestRecovery(t *testing.T) {
	for _, c := range []struct {
		voters          int
		helped, fresh   int
		recovered, anew bool
	}{
		{1, 0, 0, false, true},
		{2, 0, 0, false, false},
		{2, 1, 0, false, true}, // nobody is left who was not heard
		{3, 1, 0, false, false},
		{3, 2, 0, true, true},
		{3, 0, 1, false, true}, // two have forgotten
		{3, 1, 1, false, true},
		{5, 2, 1, false, false},
		{5, 3, 0, true, false},
		{5, 0, 2, false, true},
	} {
		var r Recovery
		for i := range c.helped {
			r.Fresh(i + 1)
			r.Helped(i + 1)
			r.Fresh(i + 1) // it was asked before
		}
		for i := range c.fresh {
			r.Fresh(c.helped + i + 1)
		}
		l := list(t, c.voters)
		assert.Equal(t, c.recovered, r.Recovered(l), "%+v", c)
		assert.Equal(t, c.anew, r.Anew(l), "%+v", c)
	}
}
