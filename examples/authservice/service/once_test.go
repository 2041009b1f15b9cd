package service

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

func newMarks() (marks, *fakeNode) {
	f := &fakeNode{Local: limiter.NewLocal(limiter.Config{})}
	return marks{f}, f
}

// Of many who set a mark at once one is the first; it stays set for its life, to the
// moment, whenever in a window it was set.
func TestMarkIsSetOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newMarks()
		for range 20 {
			m := codeUsed(time.Now().String())
			set, _, err := s.isSet(t.Context(), m)
			require.NoError(t, err)
			require.False(t, set)
			var first atomic.Int32
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					ok, err := s.set(t.Context(), m)
					assert.NoError(t, err)
					if ok {
						first.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, first.Load())
			time.Sleep(m.life - time.Second)
			set, since, err := s.isSet(t.Context(), m)
			require.NoError(t, err)
			require.True(t, set)
			require.Equal(t, m.life-time.Second, since)
			time.Sleep(time.Second)
			set, _, err = s.isSet(t.Context(), m)
			require.NoError(t, err)
			require.False(t, set)
			time.Sleep(7 * time.Second)
		}
	})
}

// Marks outlive what they are about, also by the wall clock of another node.
func TestMarksLiveLongEnough(t *testing.T) {
	assert.GreaterOrEqual(t, codeUsed("").life, codeLife+clockSlack)
	assert.GreaterOrEqual(t, refreshUsed("").life, grantLifeMax+clockSlack)
	assert.GreaterOrEqual(t, tokenRevoked("").life, accessLife+clockSlack)
	assert.GreaterOrEqual(t, grantRevoked("").life, grantLifeMax+clockSlack)
	assert.GreaterOrEqual(t, agentDeleted("").life, agentLife+clockSlack)
	assert.GreaterOrEqual(t, statusChange("", 1).life, agentLife+clockSlack)
	assert.Equal(t, retryLife, refreshWon("", "").life)
	seen := map[string]bool{}
	for _, m := range []mark{codeUsed("1"), refreshUsed("1"), tokenRevoked("1"), grantRevoked("1"), agentDeleted("1"),
		statusChange("1", 1), statusChange("1", 2), statusChange("11", 1), refreshWon("1", "1"), refreshWon("11", "")} {
		require.NoError(t, m.limit().Validate())
		require.False(t, seen[m.key()], "%+v", m)
		seen[m.key()] = true
	}
}

// A node that cannot know does not guess: a code works neither twice nor never.
func TestMarkUnsure(t *testing.T) {
	for _, broken := range []func(*fakeNode){
		func(f *fakeNode) { f.degraded = true },
		func(f *fakeNode) { f.err = errors.New("closed") },
	} {
		s, f := newMarks()
		m := codeUsed("1")
		broken(f)
		_, err := s.set(t.Context(), m)
		require.ErrorIs(t, err, errUnsure)
		_, _, err = s.isSet(t.Context(), m)
		require.ErrorIs(t, err, errUnsure)
		_, err = s.anySet(t.Context(), m, tokenRevoked("1"))
		require.ErrorIs(t, err, errUnsure)
		require.ErrorIs(t, s.setStatus(t.Context(), "did", statusSuspended), errUnsure)
		_, err = s.isUsable(t.Context(), "did")
		require.ErrorIs(t, err, errUnsure)
		f.degraded, f.err = false, nil
		first, err := s.set(t.Context(), m)
		require.NoError(t, err)
		assert.True(t, first, "what it took while unsure it gave back")

		broken(f)
		_, err = s.set(t.Context(), m)
		assert.ErrorIs(t, err, errUnsure, "not even that it was used")
	}
}
