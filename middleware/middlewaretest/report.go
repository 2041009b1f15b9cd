package middlewaretest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Row is what became of one row of a suite.
type Row struct {
	Name   string
	Passed bool
}

// Run is a suite's rows over some limiters, such as "three nodes".
type Run struct {
	Over string
	Rows []Row
}

// Report compares runs with a file, which tables of the documentation are made of: a line per row, and
// what became of it over each. With WEIR_UPDATE in the environment it writes the file.
func Report(t *testing.T, file string, runs ...Run) {
	t.Helper()
	var names []string
	results := map[string][]string{}
	for _, run := range runs {
		for _, r := range run.Rows {
			if results[r.Name] == nil {
				names = append(names, r.Name)
			}
			verdict := "pass"
			if !r.Passed {
				verdict = "fail"
			}
			results[r.Name] = append(results[r.Name], run.Over+" "+verdict)
		}
	}
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s\t%s\n", name, strings.Join(results[name], "\t"))
	}
	if os.Getenv("WEIR_UPDATE") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String(), "%s is not what became of the rows; WEIR_UPDATE=1 writes it anew", file)
}
