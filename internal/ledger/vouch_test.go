package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What nobody made is forgotten, and nothing else: the books are in order, and an older copy of the
// same origin is taken again.
func TestDrop(t *testing.T) {
	l, id := NewLedger(1, 100), ID{3, 4}
	bucket := Limit{Quota: 10, Window: time.Minute, Algorithm: TokenBucket}
	l.Take(id, bucket, 1, t0, all)
	top := l.Top(id.Partition())
	require.NotZero(t, top)
	s := Slot{ID: id, Origin: 2, At: t0 + int64(time.Minute), Cur: 5, Version: 5 << tokenShift, Expires: seconds(t0 + int64(time.Hour)), Knows: []Known{{7, 9}}}
	require.Equal(t, News, l.Receive(s, t0, 0))
	forged := s
	forged.Version, forged.Cur = 1<<40, 0
	require.Equal(t, News, l.Receive(forged, t0, 0))
	require.False(t, l.Drop(id, 2, s.Version), "it has another version")
	require.False(t, l.Drop(id, 1, top), "its own")
	require.False(t, l.Drop(id, 99, 1), "of nobody that is known")
	require.True(t, l.Drop(id, 2, forged.Version))
	require.False(t, l.Drop(id, 2, forged.Version), "once")
	checkBooks(t, l)
	require.Equal(t, News, l.Receive(s, t0, 0))
	require.Equal(t, top, l.Top(id.Partition()))
	checkBooks(t, l)
}
