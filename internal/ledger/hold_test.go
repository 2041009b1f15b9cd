package ledger

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// However many are never settled, a bounded number is remembered.
func TestHoldsAreBounded(t *testing.T) {
	var h Holds
	for i := range uint64(2 * holdShards * holdsMost) {
		h.Begin(ID{Hi: i, Lo: i}, 1, 1)
	}
	assert.Equal(t, int64(holdShards*holdsMost), h.n.Load())
	h.Begin(ID{Hi: 1 << 40}, 1, holdMax+2)
	assert.Equal(t, int64((holdShards-1)*holdsMost+1), h.n.Load(), "room is made where they have ended")
}

// What is begun is ended, however many do so at once, and leaves nothing behind.
func TestHoldsLeaveNothing(t *testing.T) {
	var h Holds
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				h.Begin(idIn(5, (w+i)%3), 2, t0)
				h.End(idIn(5, (w+i)%3), 1)
				h.End(idIn(5, (w+i)%3), 1)
			}
		})
	}
	wg.Wait()
	assert.Zero(t, h.n.Load())
}
