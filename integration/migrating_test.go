package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the page for those who come from other limiters names of weir exists: names of packages, and
// fields and methods of their types.
func TestMigratingNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/migrating.md")
	require.NoError(t, err)
	names, aliases := map[string]bool{}, map[string]string{}
	for pkg, dir := range map[string]string{"weir": ".", "limiter": "limiter", "cluster": "cluster", "middleware": "middleware"} {
		exports(t, pkg, filepath.Join(root, dir), names, aliases)
	}
	named := regexp.MustCompile("`((?:weir|limiter|cluster|middleware)\\.[A-Z]\\w*)((?:\\.\\w+)?)").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 100)
	for _, n := range named {
		of := n[1]
		if other, ok := aliases[of]; ok {
			of = other
		}
		assert.True(t, names[n[1]] && names[of+n[2]], "docs/migrating.md names %s%s, which is not there", n[1], n[2])
	}
}

// exports adds the exported names of a package, such as "weir.Rule" and "limiter.Limit.Quota", and
// what its aliases stand for.
func exports(t *testing.T, pkg, dir string, names map[string]bool, aliases map[string]string) {
	paths, err := filepath.Glob(dir + "/*.go")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				name := pkg + "." + f.Name.Name
				if f.Recv != nil {
					name = pkg + "." + receiver(f).Name + "." + f.Name.Name
				}
				names[name] = true
				continue
			}
			for _, s := range d.(*ast.GenDecl).Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names[pkg+"."+n.Name] = true
					}
				case *ast.TypeSpec:
					exportType(pkg+"."+s.Name.Name, s, names, aliases)
				}
			}
		}
	}
}

func exportType(name string, s *ast.TypeSpec, names map[string]bool, aliases map[string]string) {
	names[name] = true
	var members *ast.FieldList
	switch x := s.Type.(type) {
	case *ast.StructType:
		members = x.Fields
	case *ast.InterfaceType:
		members = x.Methods
	case *ast.SelectorExpr:
		if of, ok := x.X.(*ast.Ident); ok && s.Assign.IsValid() {
			aliases[name] = of.Name + "." + x.Sel.Name
		}
		return
	default:
		return
	}
	for _, m := range members.List {
		for _, n := range m.Names {
			names[name+"."+n.Name] = true
		}
	}
}
