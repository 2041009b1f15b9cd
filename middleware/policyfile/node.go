package policyfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// decoder walks the syntax tree. It keeps the first error and goes on with zero values,
// so that the code that reads fields need not look after each of them.
type decoder struct {
	options Options
	lines   map[string]int // line by path, for errors found later
	err     error
}

// fail keeps the first error.
func (d *decoder) fail(path string, n ast.Node, reason string) {
	if d.err == nil {
		d.err = &Error{Line: line(n), Field: path, Value: shown(n), Reason: reason}
	}
}

// line is where a node begins.
func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// shown is a scalar as the file has it, shortened; of anything else nothing is shown.
func shown(n ast.Node) string {
	const most = 60
	switch n.(type) {
	case *ast.MappingNode, *ast.SequenceNode, nil:
		return ""
	}
	s := strings.TrimSpace(n.String())
	if _, isString := n.(*ast.StringNode); isString && !strings.HasPrefix(s, `"`) {
		s = fmt.Sprintf("%q", strings.Trim(s, "'"))
	}
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

// mapping is a mapping whose fields are being read.
type mapping struct {
	d      *decoder
	path   string // "" for the whole file
	node   ast.Node
	fields map[string]ast.Node
	known  []string // names asked for so far
}

// mapping starts to read a mapping. Only plain strings can be the names of fields: this is
// where merge keys, numbers and whole mappings as names are refused. Of anything else
// than a mapping it returns one without fields, so that the caller can go on.
func (d *decoder) mapping(path string, n ast.Node) *mapping {
	m := &mapping{d: d, path: path, node: n, fields: map[string]ast.Node{}}
	d.lines[path] = line(n)
	node, ok := n.(*ast.MappingNode)
	if !ok {
		d.fail(path, n, "is not a mapping of fields to values")
		return m
	}
	for _, v := range node.Values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			d.fail(path, v.Key, "is not a field's name")
			return m
		}
		// A name written twice is refused by the parser.
		m.fields[key.Value] = v.Value
		d.lines[m.at(key.Value)] = line(v.Key)
	}
	return m
}

// at is the path of a field.
func (m *mapping) at(name string) string {
	if m.path == "" {
		return name
	}
	return m.path + "." + name
}

// get is a field's node, or nil if it is absent. Null is a value, and no type takes it:
// a field left empty by mistake should not mean the default.
func (m *mapping) get(name string) ast.Node {
	m.known = append(m.known, name)
	return m.fields[name]
}

// require fails where a field is absent. The line is that of the mapping, as a field that
// is not there has none.
func (m *mapping) require(names ...string) {
	for _, name := range names {
		if m.fields[name] == nil && m.d.err == nil {
			m.d.err = &Error{Line: line(m.node), Field: m.at(name), Reason: "is missing"}
		}
	}
}

// done fails where a field was not asked for, that is after all known ones were: a misspelt
// field would otherwise be a limit that is silently not there. Of several the first in
// the file is told.
func (m *mapping) done() {
	unknown := make([]string, 0, 1)
	for name := range m.fields {
		if !slices.Contains(m.known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 || m.d.err != nil {
		return
	}
	slices.SortFunc(unknown, func(a, b string) int { return m.d.lines[m.at(a)] - m.d.lines[m.at(b)] })
	slices.Sort(m.known)
	m.d.err = &Error{
		Line: m.d.lines[m.at(unknown[0])], Field: m.at(unknown[0]), Value: shown(m.fields[unknown[0]]),
		Reason: "is for an unknown field; known here: " + strings.Join(slices.Compact(m.known), ", "),
	}
}

// text is a string.
func (m *mapping) text(name string) string { return m.d.text(m.at(name), m.get(name)) }

// text is a string; absent is "". A number, a date or a truth value is not turned into
// one: who forgot the quotes may see another text than the parser did.
func (d *decoder) text(path string, n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return ""
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	d.fail(path, n, "is not a string")
	return ""
}

// number is a whole number; absent is 0.
func (m *mapping) number(name string) int64 { return m.d.number(m.at(name), m.get(name)) }

// number is a whole number; absent is 0. What has a fraction or an exponent is refused, and
// what does not fit into 63 bits as well. 2^62 is far beyond every bound that is
// checked later, and leaves room for arithmetic on the way there.
func (d *decoder) number(path string, n ast.Node) int64 {
	if n == nil {
		return 0
	}
	if i, ok := n.(*ast.IntegerNode); ok {
		switch v := i.Value.(type) {
		case int64:
			return v
		case uint64:
			if v <= 1<<62 {
				return int64(v)
			}
		}
	}
	d.fail(path, n, "is not a whole number")
	return 0
}

// flag is true or false; absent is false.
func (m *mapping) flag(name string) bool {
	switch n := m.get(name).(type) {
	case nil:
	case *ast.BoolNode:
		return n.Value
	default:
		m.d.fail(m.at(name), n, "is neither true nor false")
	}
	return false
}

// duration is a text such as 1m30s; absent is the given default. A bare number is refused:
// it would be seconds to one reader and nanoseconds to Go.
func (m *mapping) duration(name string, absent time.Duration) time.Duration {
	n := m.get(name)
	if n == nil {
		return absent
	}
	v, err := time.ParseDuration(m.d.text(m.at(name), n))
	if err != nil {
		m.d.fail(m.at(name), n, "is not a duration such as 1s, 5m or 24h")
	}
	return v
}

// list is a list of anything; absent is empty, and an empty list is refused unless it is
// absent: it would say nothing, or by mistake everything.
func (m *mapping) list(name string) []ast.Node {
	n := m.get(name)
	if n == nil {
		return nil
	}
	return m.d.list(m.at(name), n)
}

// list is a list of anything.
func (d *decoder) list(path string, n ast.Node) []ast.Node {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(path, n, "is not a list")
		return nil
	}
	if len(s.Values) == 0 {
		d.fail(path, n, "is empty")
	}
	return s.Values
}

// choice is one of a few words; absent is the given default.
func choice[T any](m *mapping, name string, absent T, words map[string]T) T {
	n := m.get(name)
	if n == nil {
		return absent
	}
	v, ok := words[m.d.text(m.at(name), n)]
	if !ok {
		m.d.fail(m.at(name), n, "is not one of "+wordList(words))
	}
	return v
}

// wordList names the words of a choice, sorted: an error text must not change from one
// attempt to the next.
func wordList[T any](words map[string]T) string {
	names := make([]string, 0, len(words))
	for w := range words {
		names = append(names, w)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
