package policyfile

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// decoder walks the syntax tree. It keeps the first error and goes on with zero values,
// so that the code that reads fields need not look after each of them.
type decoder struct {
	options Options
	lines   map[string]int    // line by path, for errors found later
	written map[string]string // path in the file by path in the policy, where they differ
	spelt   map[string]string // value in the file by path, where the policy has another spelling
	// What the routes so far ask for: see the bounds.
	patterns, work int
	err            error
}

// fail keeps the first error, about a node.
func (d *decoder) fail(path string, n *yaml.Node, reason string) {
	d.add(&Error{Line: line(n), Field: path, Value: shown(n), Reason: reason})
}

// add keeps the first error.
func (d *decoder) add(err *Error) {
	if d.err == nil {
		d.err = err
	}
}

// line is where a node begins.
func line(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}

// shown is a scalar as the file has it, shortened, a text in quotes; of anything else
// nothing is shown.
func shown(n *yaml.Node) string {
	const most = 60
	switch {
	case n == nil || n.Kind != yaml.ScalarNode:
		return ""
	case n.Value == "" && !isString(n):
		return "null"
	}
	s := n.Value
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if isString(n) {
		return strconv.Quote(s)
	}
	return s
}

// isString reports whether a node is a text: in quotes, or one that nobody takes for a
// number, a date or a truth value.
func isString(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

// mapping is a mapping whose fields are being read.
type mapping struct {
	d        *decoder
	path     string // "" for the whole file
	node     *yaml.Node
	fields   map[string]*yaml.Node
	known    []string // names asked for so far
	required []string
}

// mapping starts to read a mapping. Of anything else it returns one without fields, so
// that the caller can go on.
func (d *decoder) mapping(path string, n *yaml.Node) *mapping {
	m := &mapping{d: d, path: path, node: n, fields: map[string]*yaml.Node{}}
	d.lines[path] = line(n)
	if n == nil || n.Kind != yaml.MappingNode {
		d.fail(path, n, "is not a mapping of fields to values")
		return m
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i] // a text, and there once: see plain
		m.fields[name.Value] = n.Content[i+1]
		d.lines[m.at(name.Value)] = name.Line
	}
	return m
}

// at is the path of a field.
func (m *mapping) at(name string) string { return join(m.path, name) }

// join is the path of a field of what path leads to.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// get is a field's node, or nil if it is absent. Null is a value, and no type takes it:
// a field left empty by mistake should not mean the default.
func (m *mapping) get(name string) *yaml.Node {
	m.known = append(m.known, name)
	return m.fields[name]
}

// require has done fail where one of these fields is absent.
func (m *mapping) require(names ...string) { m.required = append(m.required, names...) }

// done fails where a field was not asked for, that is after all known ones were: a misspelt
// field would otherwise be a limit that is silently not there. Of several the first in
// the file is told. Only then it fails where a required one is absent, as that may be the
// one that is misspelt; the line is that of the mapping.
func (m *mapping) done() {
	for i := 0; m.d.err == nil && i+1 < len(m.node.Content); i += 2 {
		name, value := m.node.Content[i], m.node.Content[i+1]
		if slices.Contains(m.known, name.Value) {
			continue
		}
		slices.Sort(m.known)
		m.d.add(&Error{
			Line: name.Line, Field: m.at(name.Value), Value: shown(value),
			Reason: "is for an unknown field; known here: " + strings.Join(slices.Compact(m.known), ", "),
		})
	}
	for _, name := range m.required {
		if m.fields[name] == nil {
			m.d.add(&Error{Line: line(m.node), Field: m.at(name), Reason: "is missing"})
		}
	}
}

// text is a string.
func (m *mapping) text(name string) string { return m.d.text(m.at(name), m.get(name)) }

// text is a string; absent is "". A number, a date or a truth value is not turned into
// one: who forgot the quotes may see another text than the parser did.
func (d *decoder) text(path string, n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case !isString(n):
		d.fail(path, n, "is not a string")
		return ""
	}
	return n.Value
}

// number is a whole number; absent is 0.
func (m *mapping) number(name string) int64 { return m.d.number(m.at(name), m.get(name)) }

// number is a whole number in decimal digits; absent is 0.
func (d *decoder) number(path string, n *yaml.Node) int64 {
	if n == nil {
		return 0
	}
	v, ok := decimal(n.Value)
	if n.Kind != yaml.ScalarNode || isString(n) || !ok {
		d.fail(path, n, "is not a whole number in decimal digits")
	}
	return v
}

// flag is true or false; absent is false.
func (m *mapping) flag(name string) bool {
	n := m.get(name)
	switch {
	case n == nil:
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool":
		return strings.EqualFold(n.Value, "true")
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
	m.d.spelt[m.at(name)] = shown(n)
	v, ok := duration(n.Value)
	if !isString(n) || !ok {
		m.d.fail(m.at(name), n, "is not a duration such as 90s, 5m, 24h or 7d, of at most 366d")
	}
	return v
}

// list is a list of anything; absent is empty, and an empty list is refused unless it is
// absent: it would say nothing, or by mistake everything.
func (m *mapping) list(name string) []*yaml.Node {
	n := m.get(name)
	if n == nil {
		return nil
	}
	return m.d.list(m.at(name), n)
}

// list is a list of anything.
func (d *decoder) list(path string, n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		d.fail(path, n, "is not a list")
		return nil
	}
	if len(n.Content) == 0 {
		d.fail(path, n, "is empty")
	}
	return n.Content
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
