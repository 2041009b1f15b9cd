package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// The committed pictures are what the program draws.
func TestPictures(t *testing.T) {
	for name, traffic := range pictures {
		svg, err := picture(traffic)
		require.NoError(t, err)
		committed, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, string(svg), string(committed), "%s: go run ./docs/pictures", name)
	}
}

// What the page says of the pictures: what each limit admits within 10 s and within a minute, at most.
func TestMost(t *testing.T) {
	for name, want := range map[string][4][2]int{
		"edge.svg":     {{120, 120}, {64, 64}, {69, 69}, {19, 19}},
		"overload.svg": {{20, 60}, {20, 60}, {20, 119}, {19, 69}},
	} {
		for i, l := range limits {
			at, err := admitted(pictures[name], l.limit)
			require.NoError(t, err)
			got := [2]int{most(at, 10*time.Second), most(at, time.Minute)}
			assert.Equal(t, want[i], got, "%s %s", name, l.code)
		}
	}
	_, err := admitted(pictures["edge.svg"], limiter.Limit{})
	assert.ErrorIs(t, err, limiter.ErrLimit)
}
