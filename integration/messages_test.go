package integration

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table in docs/operating.md has every line that a node logs, with its level, and none that
// it does not log.
func TestEveryMessageIsDocumented(t *testing.T) {
	logged := map[string][]string{}
	for pkg, files := range sources(t) {
		if (pkg+"/" != "transport/" && !strings.HasPrefix(pkg+"/", "cluster/")) || strings.HasPrefix(pkg, "cluster/clustertest") {
			continue
		}
		for _, f := range files {
			ast.Inspect(f.file, func(n ast.Node) bool {
				for _, m := range messagesIn(t, f.path, n) {
					if levels := logged[m[0]]; !slices.Contains(levels, m[1]) {
						logged[m[0]] = append(levels, m[1])
					}
				}
				return true
			})
		}
	}
	delete(logged, "gossip") // the library's own, for debugging
	text, err := os.ReadFile(filepath.Join(root, "docs", "operating.md"))
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(text), "<!-- begin messages -->")
	table, _, found := strings.Cut(table, "<!-- end messages -->")
	require.True(t, found)
	told := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z, ]+) \\| ([^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(table, -1) {
		require.NotContains(t, told, row[1], "twice")
		told[row[1]] = strings.Split(row[2], ", ")
	}
	require.Greater(t, len(told), 20)
	require.Equal(t, strings.Count(table, "\n| `"), len(told), "a row has not four columns")
	require.Equal(t, logged, told)
}

// messagesIn are the messages, with their levels, that a node of the syntax tree logs.
func messagesIn(t *testing.T, path string, n ast.Node) (all [][2]string) {
	if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "gossipTells" {
		for _, row := range v.Values[0].(*ast.CompositeLit).Elts {
			all = append(all, [2]string{literal(row.(*ast.CompositeLit).Elts[1]), "warn"})
		}
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return all
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return all
	}
	of := ""
	switch x := method.X.(type) {
	case *ast.Ident:
		of = x.Name
	case *ast.SelectorExpr:
		of = x.Sel.Name
	}
	logger := slices.Contains([]string{"log", "Log", "Logger", "to"}, of)
	switch name := method.Sel.Name; {
	case logger && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, name):
		if m := literal(call.Args[0]); m != "" {
			return append(all, [2]string{m, strings.ToLower(name)})
		}
		// What is put together comes from a table or from report.
		require.True(t, strings.HasPrefix(path, "transport/") || path == "cluster/internal/membership/gossiplog.go", "%s: a message that is no literal", path)
	case logger && name == "Log": // whose level depends
		return append(all, [2]string{literal(call.Args[2]), "info"}, [2]string{literal(call.Args[2]), "warn"})
	case strings.HasPrefix(path, "transport/") && name == "report" && len(call.Args) == 4:
		return append(all, [2]string{"transport: " + literal(call.Args[1]), "warn"})
	case name == "NewRecord":
		return append(all, [2]string{literal(call.Args[2].(*ast.CallExpr).Args[0]), "warn"})
	}
	return all
}

// literal is the text of a string literal, or "".
func literal(e ast.Expr) string {
	if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
		s, _ := strconv.Unquote(b.Value)
		return s
	}
	return ""
}
