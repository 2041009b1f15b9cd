package simnet

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Nothing is lost, doubled or reordered, whatever the wires do meanwhile: random
// writes against random cuts, with a small window so that writers also block.
func TestStreamLosesNothing(t *testing.T) {
	for seed := range uint64(30) {
		o := Options{Seed: seed, Latency: time.Millisecond, Jitter: 20 * time.Millisecond,
			Loss: 0.3, SendBuffer: 3000, UserTimeout: -1}
		if seed%3 == 0 {
			o.RTO = -1
		}
		inBubble(t, o, func(t *testing.T, w *world) {
			rng := rand.New(rand.NewPCG(seed, 1))
			sent := make([]byte, 60_000)
			for i := range sent {
				sent[i] = byte(rng.Uint32())
			}
			near, far := w.pair()
			go func() {
				for rest := sent; len(rest) > 0; {
					k := min(1+rng.IntN(5000), len(rest))
					if _, err := near.Write(rest[:k]); err != nil {
						return
					}
					rest = rest[k:]
				}
				_ = near.Close()
			}()
			var flapping sync.WaitGroup
			flapping.Go(func() { flap(w, seed) })
			got, err := io.ReadAll(far)
			flapping.Wait()
			require.NoError(t, err, "seed %d", seed)
			require.True(t, bytes.Equal(sent, got), "seed %d: sent %d bytes, got %d, not the same", seed, len(sent), len(got))
		})
	}
}

// flap cuts and mends at random for some seconds, and leaves the wires whole.
func flap(w *world, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	nap := func() { time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) }
	for range 40 {
		switch rng.IntN(3) {
		case 0:
			w.Partition([]string{"a"}, []string{"b"})
		case 1:
			w.Cut("a", "b")
		case 2:
			w.Cut("b", "a")
		}
		nap()
		w.Heal()
		nap()
	}
}
