package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The reading with the shortest round trip counts, until it is so old that a slow new one
// says more; one that contradicts it ends its time.
func TestLooks(t *testing.T) {
	const ms = time.Millisecond
	var ls looks
	add := func(at, rtt, want time.Duration) look { return ls.add(look{want: int64(want), at: at, rtt: rtt}) }
	require.Equal(t, 400*ms, add(0, 400*ms, 150*ms).rtt)
	require.Equal(t, 20*ms, add(3*time.Second, 20*ms, 0).rtt)
	require.Equal(t, 20*ms, add(6*time.Second, 400*ms, -150*ms).rtt, "the best of the last ones")
	require.Equal(t, 30*ms, add(9*time.Second, 30*ms, 2*ms).rtt, "not quite as good, but newer")
	for i := range 7 {
		add(time.Duration(12+3*i)*time.Second, 400*ms, 100*ms)
	}
	require.Equal(t, 400*ms, add(33*time.Second, 400*ms, 100*ms).rtt, "too old")
	require.EqualValues(t, time.Hour, add(36*time.Second, 400*ms, time.Hour).want, "a clock has jumped")
	require.EqualValues(t, time.Hour, add(39*time.Second, 500*ms, time.Hour).want)
}
