package cluster

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

var keysFlag = flag.Int("weir.keys", 200_000, "keys on one node when TestManyKeys starts a second; 12000000 need 4 GiB")

// One node has many keys, and a second one joins, while takes go on. Nobody takes himself
// for having been stopped, no count is lost, and the time that it took is told.
func TestManyKeys(t *testing.T) {
	keys := *keysFlag
	a := startNodes(t, 1, func(c *Config) { c.MaxKeys = 2 * keys })[0]
	l := limiter.Limit{Quota: 100, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
	first := time.Now()
	for i := range keys {
		_, err := a.Take(context.Background(), strconv.Itoa(i), l, 1)
		require.NoError(t, err)
	}
	var stop atomic.Bool
	var longest, late atomic.Int64
	var takes [8]int
	var wg sync.WaitGroup
	for w := range len(takes) {
		wg.Go(func() {
			for i := w; !stop.Load(); i++ {
				began := time.Now()
				if d, err := a.Take(context.Background(), fmt.Sprint("more", w, i%100), l, 0); err != nil || d.Degraded {
					t.Error(d, err)
				}
				took := int64(time.Since(began))
				for was := longest.Load(); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
				}
				if took > int64(20*time.Millisecond) {
					late.Add(1)
				}
				takes[w]++
				time.Sleep(time.Millisecond)
			}
		})
	}
	began := time.Now()
	b, err := Start(t.Context(), Config{Name: "b", Join: []string{a.Addr()}, MaxKeys: 2 * keys, Logger: slog.New(slog.DiscardHandler), CallTimeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	whole := func() bool {
		return b.Ready() && b.Stats().Holding > 0 && a.Stats().Holding+b.Stats().Holding == Partitions
	}
	for !whole() {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	for a.Stats().Behind > 0 || a.ledger.HasDue().Len() > 0 || b.Stats().Keys == 0 {
		time.Sleep(time.Millisecond)
	}
	copied := time.Since(began)
	stop.Store(true)
	wg.Wait()
	n := 0
	for _, x := range takes {
		n += x
	}
	t.Logf("%d keys: whole after %v, all copied after %v; the longest of %d takes took %v, %d more than 20 ms",
		keys, took.Round(time.Millisecond), copied.Round(time.Millisecond), n, time.Duration(longest.Load()), late.Load())
	require.Zero(t, a.epoch.Load()+b.epoch.Load(), "doubts")
	for i := 0; i < keys; i += 1 + keys/1000 {
		d, err := b.Take(context.Background(), strconv.Itoa(i), l, 0)
		require.NoError(t, err)
		if d.ResetAfter < l.Window-time.Since(first) { // else its window began meanwhile
			require.EqualValues(t, 99, d.Remaining, "key %d", i)
		}
	}
}
