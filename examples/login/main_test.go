package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program's own checks hold, and it says what it shows.
func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	assert.Equal(t, 14, strings.Count(out.String(), "\n"))
	assert.Regexp(t, `40 guesses at once from one address +0 ok,  5 failed, 35 denied`, out.String())
}

// What the program exits by is not blind: without a limit all 40 guesses pass.
func TestSceneNotices(t *testing.T) {
	d := &demo{out: &strings.Builder{}, handler: http.HandlerFunc(login)}
	d.scene("guesses", 40, 40, "192.0.2.1", "ann", "12345", counts{failed: 5, denied: 35})
	assert.ErrorContains(t, d.wrong, "guesses: {ok:0 failed:40 denied:0}")
}
