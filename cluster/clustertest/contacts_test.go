package clustertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// With shares, what all sides of a split admit together of a window that begins two seconds
// after the cut or later is no more than the quota, long before gossip has noticed it.
func TestSharesSoonAfterACut(t *testing.T) {
	t.Parallel()
	for i, sides := range [][][]int{
		{{0, 1, 2}, {3, 4}}, // this one is cut one way
		{{0, 1, 2}, {3, 4}},
		{{0, 1, 2, 3}, {4}},
		{{0, 1}, {2, 3}, {4}},
		{{0, 4}, {2, 3}, {1}},
		{{0}, {1}, {2, 3, 4}},
	} {
		oneWay := i == 0
		t.Run(fmt.Sprint(sides, oneWay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(t, 5, Options{Config: func(_ int, cfg *cluster.Config) { cfg.Split = limiter.SplitShare }})
				time.Sleep(10 * time.Second)
				l := limiter.Per(20, 24*time.Hour)
				for _, k := range keys {
					spend(t, c, k, l, 1)
				}
				time.Sleep(time.Second)
				cut(c, sides, oneWay)
				began := time.Now()
				for at := 2 * time.Second; at < 16*time.Second; at += 500 * time.Millisecond {
					time.Sleep(time.Until(began.Add(at)))
					most := 0
					for i := range 40 {
						sum, k := 0, fmt.Sprint(at, i)
						for _, side := range sides {
							sum += spend(t, c, k, l, 30, side...)
						}
						most = max(most, sum)
					}
					assert.LessOrEqual(t, most, 20, "%v after the cut", at)
				}
			})
		})
	}
}

// cut cuts sides from each other, or the second from what the first sends.
func cut(c *Cluster, sides [][]int, oneWay bool) {
	if !oneWay {
		c.Split(sides...)
		return
	}
	for _, from := range sides[0] {
		for _, to := range sides[1] {
			c.Cut(from, to)
		}
	}
}
