package integration

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/cluster"
)

// A build of a newer minor version, made of this tree by a program: each message, each slot and
// each entry of a roster has a field more, the wire has one more minor version, and nodes call each
// other by a kind that is not known today. The compiler gets the changed files in the place of
// those that are there (go build -overlay), so nothing of it is in the library.

const (
	newerVersion = "0.10.0"
	newerKind    = 200
)

// newerAppend makes what was written from start on longer by a field.
const newerAppend = `package %s

import (
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

func newer(b []byte, start int) []byte {
	if b[start]&0xf0 != 0x90 || b[start] == 0x9f {
		panic("not an array to which a field can be added")
	}
	b[start]++
	return transport.AppendString(transport.AppendArrayLen(b, 1), "newer")
}

var _ ledger.Slot
`

// newerWriters are the functions that write something, and how they call what they were before.
var newerWriters = map[string]string{
	"AppendRequest": "(c *%s) AppendRequest(b []byte) []byte { return newer(c.AppendRequestNow(b), len(b)) }",
	"AppendAnswer":  "(c *%s) AppendAnswer(b []byte) []byte { return newer(c.AppendAnswerNow(b), len(b)) }",
	"Encode":        "(c %s) Encode() []byte { return newer(c.EncodeNow(), 0) }",
	"appendSlot":    "appendSlot(b []byte, s *ledger.Slot) []byte { return newer(appendSlotNow(b, s), len(b)) }%s",
}

// newerCall calls all peers by the unknown kind, and says what those answer that are older.
const newerCall = `package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
)

func (n *Node) contact(v *view) (bool, time.Duration) {
	for _, p := range v.all {
		p.calls.Start(time.Now().Add(seedTimeout), %d, &wire.Table{}, func(err error) {
			if m := n.members.Get(p.name); m != nil && m.Weir != Version && err != nil {
				n.logs.Once("newer "+p.name, func() { n.log.Info("a newer kind of call", "peer", m.Weir, "answer", err) })
			}
		})
	}
	return n.contactNow(v)
}
`

// newerMain is the rest of a child that is no test.
const newerMain = `
const patience = 30 * time.Second

func main() { os.Exit(runChild(os.Getenv(%q))) }
`

// newerBuild builds the program of a child.
func newerBuild(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(root)
	require.NoError(t, err)
	o := overlay{t: t, root: dir, temp: t.TempDir(), Replace: map[string]string{}}
	o.edit("cluster/version.go", fmt.Sprintf("Version = %q", weir.Version), fmt.Sprintf("Version = %q", newerVersion))
	minor := cluster.Wire[strings.Index(cluster.Wire, ".")+1:]
	o.edit("transport/preface.go", "minorHigh   = "+minor, "minorHigh   = "+minor+" + 1")
	o.edit("cluster/internal/membership/roster.go", "fields := entryFields\n", "fields := entryFields + 1\n",
		"b = transport.AppendBool(b, true)\n\t\t}", "b = transport.AppendBool(b, true)\n\t\t}\n\t\tb = transport.AppendString(b, \"newer\")")
	o.edit("cluster/contact.go", "func (n *Node) contact(", "func (n *Node) contactNow(")
	o.put("cluster/newer.go", fmt.Sprintf(newerCall, newerKind))
	for dir, least := range map[string]int{"cluster/internal/wire": 30, "cluster/internal/membership": 1} {
		writers, n := o.longer(dir)
		require.GreaterOrEqual(t, n, least, dir)
		o.put(dir+"/newer.go", fmt.Sprintf(newerAppend, filepath.Base(dir))+writers)
	}
	child, err := os.ReadFile("child_test.go")
	require.NoError(t, err)
	o.put("integration/newer/main.go", strings.Replace(string(child), "package integration", "package main", 1)+fmt.Sprintf(newerMain, childEnv))
	return o.build("./integration/newer")
}

// overlay is files that a compiler sees in the place of those of the tree.
type overlay struct {
	t          *testing.T
	root, temp string
	Replace    map[string]string
}

// put is a file's text for the compiler.
func (o *overlay) put(name, text string) {
	to := filepath.Join(o.temp, strings.ReplaceAll(name, "/", "_"))
	require.NoError(o.t, os.WriteFile(to, []byte(text), 0o600))
	o.Replace[filepath.Join(o.root, name)] = to
}

// text is a file's, with what has been changed of it.
func (o *overlay) text(name string) string {
	path := filepath.Join(o.root, name)
	if changed, ok := o.Replace[path]; ok {
		path = changed
	}
	text, err := os.ReadFile(path)
	require.NoError(o.t, err)
	return string(text)
}

// edit replaces pieces of a file, each of which is there once.
func (o *overlay) edit(name string, oldNew ...string) {
	text := o.text(name)
	for i := 0; i < len(oldNew); i += 2 {
		require.Equal(o.t, 1, strings.Count(text, oldNew[i]), "%s has changed: see how a newer version would write %q", name, oldNew[i])
		text = strings.Replace(text, oldNew[i], oldNew[i+1], 1)
	}
	o.put(name, text)
}

// longer renames what writes messages in a package, and returns others in its place.
func (o *overlay) longer(dir string) (text string, n int) {
	paths, err := filepath.Glob(filepath.Join(o.root, dir, "*.go"))
	require.NoError(o.t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		name := dir + "/" + filepath.Base(path)
		source := o.text(name)
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, source, parser.SkipObjectResolution)
		require.NoError(o.t, err)
		changed, shift := source, 0
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || newerWriters[f.Name.Name] == "" {
				continue
			}
			of := ""
			if f.Recv != nil {
				of = receiver(f).Name
			}
			if of == "noAnswer" {
				continue
			}
			n++
			end := fset.Position(f.Name.End()).Offset + shift
			changed = changed[:end] + "Now" + changed[end:]
			shift += len("Now")
			text += "\nfunc " + fmt.Sprintf(newerWriters[f.Name.Name], of) + "\n"
		}
		if changed != source {
			o.put(name, changed)
		}
	}
	return text, n
}

// build compiles a program, and returns where it is.
func (o *overlay) build(pkg string) string {
	replace, err := json.Marshal(map[string]any{"Replace": o.Replace})
	require.NoError(o.t, err)
	list, program := filepath.Join(o.temp, "overlay.json"), filepath.Join(o.temp, "newer")
	require.NoError(o.t, os.WriteFile(list, replace, 0o600))
	cmd := exec.Command("go", "build", "-overlay", list, "-o", program, pkg)
	cmd.Dir = o.root
	out, err := cmd.CombinedOutput()
	require.NoError(o.t, err, "%s", out)
	return program
}
