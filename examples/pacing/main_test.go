package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program's own checks hold, and it says what it shows.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it paces a real client for some seconds")
	}
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(&out))
	assert.Contains(t, out.String(), "with pacing: 60 served, 0 denied")
}

// What the program exits by is not blind.
func TestVerdict(t *testing.T) {
	assert.NoError(t, verdict(20, 180, 60, 0))
	assert.ErrorContains(t, verdict(200, 0, 60, 0), "nothing is shown")
	assert.ErrorContains(t, verdict(20, 170, 60, 0), "nothing is shown")
	assert.ErrorContains(t, verdict(20, 180, 60, 1), "60 of 60 were served, and 1 denied")
	assert.ErrorContains(t, verdict(20, 180, 59, 0), "59 of 60 were served")
}
