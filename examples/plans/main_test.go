package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program's own checks hold, and it says what it shows.
func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	for _, want := range []string{
		"free key         100 admitted", "pro key          500 admitted", "enterprise key  2000 admitted",
		`the office      2100 admitted, of 2100; then denied by rule "address"`, "300 left before and has 299 after",
	} {
		assert.Contains(t, out.String(), want)
	}
}

// What the program exits by is not blind.
func TestExpectNotices(t *testing.T) {
	for _, d := range []*demo{{denier: "key"}, {denier: "address"}} {
		d.out = &strings.Builder{}
		d.expect("who", 99, 100, "key")
		assert.ErrorContains(t, d.wrong, "who: 99 admitted")
	}
}
