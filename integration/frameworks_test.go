package integration

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// frameworks are the columns of the table in docs/frameworks.md: where each one's rows are, and its adapter.
var frameworks = []struct{ name, rows, adapter string }{
	{"net/http", "middleware/middlewaretest/testdata/rows.tsv", ""},
	{"chi", "integration/routers/testdata/chi.tsv", ""},
	{"gin", "middleware/ginlimit/testdata/rows.tsv", "ginlimit"},
	{"echo v5", "middleware/echolimit/testdata/rows.tsv", "echolimit"},
	{"echo v4", "middleware/echov4limit/testdata/rows.tsv", "echov4limit"},
	{"fiber v3", "middleware/fiberlimit/testdata/rows.tsv", "fiberlimit"},
	{"gRPC", "middleware/grpclimit/testdata/rows.tsv", "grpclimit"},
	{"Connect", "middleware/connectlimit/testdata/rows.tsv", "connectlimit"},
}

// frameworkTable is what the tests of all frameworks wrote down (middlewaretest.Report): a row that
// passed over everything it was tried over is a yes.
func frameworkTable(t *testing.T) string {
	t.Helper()
	var rows []string
	cells := map[string][]string{}
	head, line := "|", "|---|"
	for column, f := range frameworks {
		text, err := os.ReadFile(root + "/" + f.rows)
		require.NoError(t, err)
		name := f.name
		if f.adapter != "" {
			name = fmt.Sprintf("[%s](../middleware/%s/README.md)", name, f.adapter)
		}
		head, line = head+" | "+name, line+"---|"
		passed, all := 0, 0
		set := func(row, cell string) {
			if cells[row] == nil {
				rows = append(rows, row)
				cells[row] = make([]string, len(frameworks))
			}
			cells[row][column] = cell
		}
		for _, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			row, over, _ := strings.Cut(l, "\t")
			ok := !strings.Contains(over, "fail") && strings.Contains(over, "local") && strings.Contains(over, "three nodes")
			if name, is := strings.CutPrefix(row, "rules: "); is {
				set(name, map[bool]string{true: "yes", false: "no"}[ok])
				continue
			}
			if all++; ok {
				passed++
			}
			set("rows of the HTTP contract", fmt.Sprintf("%d of %d", passed, all))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s |\n%s\n", head, line)
	for _, row := range rows {
		b.WriteString("| " + row)
		for _, cell := range cells[row] {
			b.WriteString(" | " + cmp.Or(cell, "not HTTP"))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// The table says what became of the rows; WEIR_UPDATE=1 writes it anew.
func TestFrameworkTable(t *testing.T) {
	const begin, end = "<!-- begin frameworks -->\n", "<!-- end frameworks -->"
	readme, err := os.ReadFile(root + "/docs/frameworks.md")
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(readme), begin)
	require.True(t, ok)
	have, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := frameworkTable(t)
	if os.Getenv("WEIR_UPDATE") != "" {
		require.NoError(t, os.WriteFile(root+"/docs/frameworks.md", []byte(before+begin+want+end+after), 0o644))
		return
	}
	assert.Equal(t, want, have)
	assert.NotContains(t, want, "| no |")
}

// From a node to a guarded server it is ten lines at most, for Envoy as well; and those compile:
// readme_test.go of each adapter has them as a function.
func TestAdapterReadmes(t *testing.T) {
	adapters := []string{"envoylimit"}
	for _, f := range frameworks {
		if f.adapter != "" {
			adapters = append(adapters, f.adapter)
		}
	}
	for _, a := range adapters {
		dir := root + "/middleware/" + a
		readme, err := os.ReadFile(dir + "/README.md")
		require.NoError(t, err)
		code, err := os.ReadFile(dir + "/readme_test.go")
		require.NoError(t, err)
		block := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(string(readme))
		require.NotNil(t, block, a)
		lines := strings.Split(strings.TrimSpace(block[1]), "\n")
		assert.LessOrEqual(t, len(lines), 10, a)
		assert.Contains(t, lines[0], "cluster.Start(", a)
		assert.Contains(t, string(code), "error {\n\t"+strings.Join(lines, "\n\t")+"\n", a)
	}
}
