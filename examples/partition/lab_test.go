package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// The whole example, in virtual time: what the chart shows is what the modes promise.
func TestSplit(t *testing.T) {
	const (
		seconds  = 32
		cautious = 5 // seconds after the last node vanished, in which a side admits less
	)
	for mode, want := range map[limiter.Split]second{
		limiter.SplitFull:   {quota, quota},
		limiter.SplitShare:  {quota * 3 / 5, quota * 2 / 5},
		limiter.SplitQuorum: {quota, 0},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := split(t.Context(), mode, seconds, func(string) {})
				time.Sleep(time.Minute) // what gossip left behind runs out
				require.NoError(t, err)
				// Until all have noticed, nodes of one side may see different members: what
				// is admitted then is a matter of the cluster's own tests.
				whole, _, noticed, again := r.phases()
				require.NotEmpty(t, noticed)
				require.NotEmpty(t, again)
				for _, s := range slices.Concat(whole, again) {
					assert.Equal(t, quota, s.total(), "of a whole cluster")
				}
				for i, s := range noticed {
					assert.LessOrEqual(t, s[0], want[0], "of a cluster that knows of the cut")
					assert.LessOrEqual(t, s[1], want[1], "of a cluster that knows of the cut")
					if i >= cautious {
						assert.Equal(t, want, s, "of a cluster that has known of the cut for long")
					}
				}
			})
		})
	}
}

// A chart is well-formed XML, names the modes, and has a bar for every side's second.
func TestDraw(t *testing.T) {
	r := result{mode: limiter.SplitShare, seconds: make([]second, 32), cut: 8, heal: 24, noticed: 10.5, whole: 25}
	for i := range r.seconds {
		r.seconds[i] = second{60, 40}
	}
	r.seconds[3] = second{quota, 0} // no bar of no height
	svg := draw([]result{r})
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	assert.Contains(t, string(svg), "split: share")
	legend := 1
	assert.Equal(t, legend+32, strings.Count(string(svg), sideColour[0]))
	assert.Equal(t, legend+31, strings.Count(string(svg), sideColour[1]))
}
