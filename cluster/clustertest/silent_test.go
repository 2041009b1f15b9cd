package clustertest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/limiter"
)

// A peer that gossip believes alive and that does not answer for three seconds is told of
// once by each of the two, and so is its return; one that is silent for less is not.
func TestSilentPeerIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lockedBuffer{}
		c := New(t, 3, Options{Log: log})
		l := limiter.Per(1_000_000, time.Hour)
		told := func(what string) int {
			return len(regexp.MustCompile(`msg="`+what+`" node=node0 peer=node1 `).FindAllString(log.String(), -1))
		}
		cut := func(d time.Duration) {
			c.Cut(0, 1)
			c.Cut(1, 0)
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				for _, k := range keys {
					spend(t, c, k, l, 1, 0, 1)
				}
			}
			c.Heal()
			c.Settle()
		}
		cut(2 * time.Second)
		assert.Zero(t, told("a peer does not answer"), "%s", log)
		cut(20 * time.Second)
		assert.Equal(t, 1, told("a peer does not answer"), "%s", log)
		assert.Equal(t, 1, told("a peer answers again"), "%s", log)
	})
}

// lockedBuffer is a buffer that many write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
