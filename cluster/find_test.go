package cluster

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A view in which this node owns a partition comes before the seats know of it. Who takes in that
// instant waits for the holder to be found: the one before may decide still.
func TestTakeBetweenViewAndSeats(t *testing.T) {
	n, err := Start(t.Context(), Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer n.Close()
	l := limiter.Per(10, time.Hour)
	part := n.id("k", &l).Partition()
	n.ledger.Hold(part, false)
	done := make(chan limiter.Decision)
	go func() {
		d, _ := n.Take(t.Context(), "k", l, 1)
		done <- d
	}()
	require.Eventually(t, func() bool { return n.forwarded.Load() == 1 }, time.Minute, time.Microsecond)
	n.ledger.Hold(part, true)
	require.True(t, (<-done).Allowed)
	require.Zero(t, n.Stats().Failovers)
	require.Less(t, part, ledger.Partitions)
}
