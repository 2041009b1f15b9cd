package integration

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	module  = "github.com/weir-go/weir"
	root    = ".."
	lineMax = 300
	funcMax = 70 // lines of a function that is no test
)

// allowed says what the source of each package may import beyond the standard library, and
// why no more. Packages in subdirectories are under the rule of the nearest parent. A
// package without a rule fails, so that a new one gets a thought.
var allowed = map[string]struct {
	imports []string
	reason  string
}{
	".": {[]string{module + "/cluster", module + "/limiter", module + "/middleware"},
		"the front door names what is behind it, and has nothing of its own"},
	"internal/ledger": {[]string{"github.com/dchest/siphash"},
		"the pure core: no network, no goroutine, and nothing that a service must trust to embed Local"},
	"limiter": {[]string{module + "/internal/ledger"},
		"what a single process needs: the core, and nothing of the cluster"},
	"ring": {[]string{"github.com/buraksezer/consistent", "github.com/dchest/siphash"},
		"placement depends on nothing but names"},
	"transport": {[]string{"github.com/vmihailenco/msgpack/v5"},
		"it carries calls and knows nothing of limits"},
	"cluster": {[]string{module + "/cluster/internal/", module + "/internal/ledger", module + "/limiter", module + "/ring", module + "/transport"},
		"the only place where the three meet"},
	"cluster/internal/tenure": {nil, "who decides is a pure function of what was heard"},
	"cluster/internal/wire": {[]string{module + "/cluster/internal/tenure", module + "/limiter", module + "/internal/ledger", module + "/transport"},
		"it writes and reads messages, and does not know what they are for"},
	"cluster/internal/ctime": {nil, "cluster time is a pure function of ages and of what peers said"},
	"cluster/internal/lease": {[]string{module + "/cluster/internal/wire", module + "/limiter", module + "/internal/ledger"},
		"who may decide without a call is a pure function of ages, answers and the ledger"},
	"cluster/internal/membership": {[]string{module + "/internal/ledger", module + "/ring", module + "/transport", "github.com/hashicorp/memberlist"},
		"who is there: of the ledger it knows a process's number alone, of the ring how many nodes it may have"},
	"cluster/internal/port": {[]string{module + "/transport", "github.com/hashicorp/memberlist"},
		"where streams and packets come in: it knows by whose mark they begin, and no more"},
	"cluster/internal/journal": {nil, "lines of a log are for nobody in particular"},
	"cluster/internal/wait":    {nil, "how long to wait follows from what was measured, and nothing else"},
	"cluster/internal/tally": {[]string{module + "/internal/ledger"},
		"which numbers of whom were counted: of the ledger it knows a process's number alone"},
	"cluster/status": {[]string{module + "/cluster", module + "/limiter", module + "/middleware"},
		"it shows a node and its middleware: who imports neither the page nor a template pays for none"},
	"cluster/status/browser/lab": {[]string{module + "/cluster", module + "/cluster/clustertest/simnet", module + "/cluster/status", module + "/limiter", module + "/middleware"},
		"what a browser looks at in tests: nodes over a network that can be cut"},
	"cluster/clustertest": {[]string{module + "/limiter", module + "/cluster", module + "/cluster/clustertest/simnet"},
		"a laboratory for whole clusters, for users too: nothing but the cluster itself"},
	"cluster/clustertest/simnet": {nil, "a simulated network knows nothing of what runs over it"},
	"middleware": {[]string{module + "/limiter", module + "/middleware/internal/clientip"},
		"it guards with anything that can Take: never the cluster"},
	"middleware/internal/clientip": {nil, "who a request counts as is a pure function of an address and headers"},
	"middleware/policyfile": {[]string{module + "/limiter", module + "/middleware", "go.yaml.in/yaml/v4"},
		"only who reads policy files links a YAML parser"},
	"middleware/middlewaretest": {[]string{module + "/limiter", module + "/middleware", "github.com/stretchr/testify"},
		"a test suite for limiters and adapters, imported by tests alone"},
	"middleware/middlewaretest/nodes": {[]string{module + "/cluster", module + "/limiter", module + "/middleware", "github.com/stretchr/testify"},
		"it starts the nodes that adapters are tried over"},
	"client": {nil, "the reading side is for programs that have nothing else of weir"},
	"integration": {[]string{module, module + "/", "github.com/stretchr/testify"},
		"it sees everything"},
	"cluster/internal/quorum": {nil,
		"its rules are explored, so they have no clock, no socket, no goroutine"},
	"integration/netnslab": {[]string{"golang.org/x/sys"},
		"it sets up network namespaces by system calls"},
	"docs/pictures": {[]string{module + "/limiter"},
		"it draws what the limiter decides, and needs nothing else"},
	"examples": {[]string{module, module + "/", "golang.org/x/sys"},
		"an example may use all of weir"},
}

// source is one Go file that is not a test.
type source struct {
	path string // below the root, with slashes
	file *ast.File
	text []byte
}

// sources are all of them in this module, by package.
func sources(t *testing.T) map[string][]source {
	t.Helper()
	fset := token.NewFileSet()
	found := map[string][]source{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, mod := os.Stat(filepath.Join(path, "go.mod"))
			nested := path != root && mod == nil
			if nested || path != root && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		found[pkg] = append(found[pkg], source{filepath.ToSlash(rel), file, text})
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, found, "limiter", "the walk finds the packages")
	return found
}

// ruleFor is the rule of a package or of its nearest parent.
func ruleFor(pkg string) (imports []string, reason string, ok bool) {
	for {
		if r, found := allowed[pkg]; found {
			return r.imports, r.reason, true
		}
		cut := strings.LastIndexByte(pkg, '/')
		if cut < 0 {
			return nil, "", false
		}
		pkg = pkg[:cut]
	}
}

// mayImport says whether a list admits an import: as it is, or as a package below it.
func mayImport(list []string, path string) bool {
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(list, func(a string) bool {
		// Within weir a rule names single packages: below cluster lies its laboratory.
		below := strings.HasSuffix(a, "/") || !strings.HasPrefix(a, module)
		return path == a || below && strings.HasPrefix(path, strings.TrimSuffix(a, "/")+"/")
	})
}

func TestImports(t *testing.T) {
	for pkg, files := range sources(t) {
		list, reason, ok := ruleFor(pkg)
		if !assert.True(t, ok, "package %s has no rule in this file", pkg) {
			continue
		}
		for _, f := range files {
			for _, i := range f.file.Imports {
				path := strings.Trim(i.Path.Value, `"`)
				assert.True(t, mayImport(list, path), "%s imports %s, but: %s", f.path, path, reason)
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	list := allowed["cluster"].imports
	assert.True(t, mayImport(list, "net/http"))
	assert.True(t, mayImport(list, module+"/ring"))
	assert.False(t, mayImport(list, module+"/middleware"))
	assert.False(t, mayImport(list, module+"/ringer"))
	assert.False(t, mayImport(allowed["middleware"].imports, module+"/cluster"))
	assert.False(t, mayImport(allowed["client"].imports, "github.com/google/uuid"))
}

// Every package opens with one comment, so that there is one place to read.
func TestOnePackageComment(t *testing.T) {
	for pkg, files := range sources(t) {
		var with []string
		for _, f := range files {
			if f.file.Doc != nil {
				with = append(with, f.path)
			}
		}
		assert.Len(t, with, 1, "package %s: comments in %v", pkg, with)
	}
}

// A file holds one idea, and fits into a reader's head.
func TestFileLength(t *testing.T) {
	for _, files := range sources(t) {
		for _, f := range files {
			lines := bytes.Count(f.text, []byte("\n"))
			assert.LessOrEqual(t, lines, lineMax, "%s has %d lines", f.path, lines)
		}
	}
}

// A function fits on a screen.
func TestFunctionLength(t *testing.T) {
	for _, files := range sources(t) {
		for _, f := range files {
			for _, d := range f.file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					lines := bytes.Count(f.text[fn.Pos()-f.file.FileStart:fn.End()-f.file.FileStart], []byte("\n")) + 1
					assert.LessOrEqual(t, lines, funcMax, "%s: %s has %d lines", f.path, fn.Name, lines)
				}
			}
		}
	}
}

// Every exported name says what it is for. Methods of unexported types are for an
// interface, which says it.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, files := range sources(t) {
		for _, f := range files {
			for _, d := range f.file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.IsExported() && (d.Recv == nil || receiver(d).IsExported()) {
						assert.NotNil(t, d.Doc, "%s: func %s has no comment", f.path, d.Name)
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() {
							assert.True(t, d.Doc != nil || ts.Doc != nil, "%s: type %s has no comment", f.path, ts.Name)
						}
					}
				}
			}
		}
	}
}

// receiver is the type that a method belongs to.
func receiver(d *ast.FuncDecl) *ast.Ident {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("_")
		}
	}
}
