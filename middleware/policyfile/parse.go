package policyfile

import (
	_ "embed" // for the reference policy and the schema
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/weir-go/weir/middleware"
)

const (
	// sizeMax is the largest policy file, in bytes.
	sizeMax = 128 << 10
	// depthMax bounds the nesting of brackets: the parser's time grows with its square.
	depthMax = 32
)

//go:embed reference.yaml
var reference string

//go:embed policy.schema.json
var schema string

// Reference is the contract's policy for an auth service, as a file.
func Reference() []byte { return []byte(reference) }

// Schema is the JSON Schema of policy files.
func Schema() []byte { return []byte(schema) }

// Options are what a file cannot say. The zero value works.
type Options struct {
	// Base gives the policy what only Go can: Claims, Respond, RequestID, Skip,
	// OnDecision, RevealKeys, Mux and Now. All else in it is ignored.
	Base middleware.Policy
	// Keys are keys that the file uses as {custom: NAME}.
	Keys map[string]middleware.Key
	// Costs are functions that the file uses as cost: {custom: NAME}.
	Costs map[string]func(r *http.Request) int64
	// Every is how often Watch looks at the file; 0 means every second.
	Every time.Duration
	// OnReload hears of each attempt of Watch to put a changed file in force: nil, or
	// why the old policy stays. It is called by one goroutine at a time, and must not
	// call the Watcher.
	OnReload func(error)
}

// Error says what is wrong with a policy file, and where. It wraps middleware.ErrPolicy.
type Error struct {
	// File is the name of the file, or "" for text.
	File string
	// Line is where it stands, from 1; 0 if it stands nowhere in particular.
	Line int
	// Field is the path of the field, such as "routes[2].rules[0].quota".
	Field string
	// Value is what stands there, or "".
	Value string
	// Reason says what is wrong with it.
	Reason string
}

// Error gives all fields in the form "file:line: field: value reason".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("policyfile: ")
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:", e.Line)
	}
	if e.File != "" || e.Line > 0 {
		b.WriteString(" ")
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	if e.Value != "" {
		b.WriteString(e.Value + " ")
	}
	return b.String() + e.Reason
}

// Unwrap makes errors.Is(err, middleware.ErrPolicy) true.
func (e *Error) Unwrap() error { return middleware.ErrPolicy }

// Load reads a policy file. The error is that of Parse with the file's name in it, or that
// of the file system.
func Load(path string, o Options) (middleware.Policy, error) {
	text, err := read(path)
	if err != nil {
		return middleware.Policy{}, err
	}
	return parseFile(path, text, o)
}

// parseFile is Parse with the file's name in the error.
func parseFile(path string, text []byte, o Options) (middleware.Policy, error) {
	p, err := Parse(text, o)
	if e, ok := errors.AsType[*Error](err); ok {
		e.File = path
	}
	return p, err
}

// read reads a file, but not an endless one: what is too large fails in Parse.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policyfile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, sizeMax+1))
	if err != nil {
		return nil, fmt.Errorf("policyfile: %w", err)
	}
	return text, nil
}

// Parse turns the text of a policy file into a policy that middleware.New accepts. It has
// two passes: the decoder finds what is wrong with single fields, and middleware's own
// check what is wrong with the policy as a whole, as for a policy made in Go. The
// second one knows paths but no lines; these are looked up.
func Parse(text []byte, o Options) (middleware.Policy, error) {
	root, err := parse(text)
	if err != nil {
		return middleware.Policy{}, err
	}
	d := &decoder{options: o, lines: map[string]int{}}
	p := d.policy(root)
	if d.err != nil {
		return middleware.Policy{}, d.err
	}
	if err := p.Check(); err != nil {
		return middleware.Policy{}, d.locate(err)
	}
	return p, nil
}

// parse makes a syntax tree of the one document in text. Bounds come first: the text may
// be from somebody who can write the file but should not be able to stop the service.
func parse(text []byte) (root ast.Node, err error) {
	if len(text) > sizeMax {
		return nil, &Error{Reason: fmt.Sprintf("the file is larger than %d bytes", sizeMax)}
	}
	if line := tooDeep(text); line > 0 {
		return nil, &Error{Line: line, Reason: fmt.Sprintf("brackets are nested more than %d deep", depthMax)}
	}
	// The parser is not ours: a text that it cannot take must not end the service.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, &Error{Reason: fmt.Sprintf("the YAML parser gave up: %v", p)}
		}
	}()
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	for _, doc := range f.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			return nil, &Error{Line: line(doc.Body), Reason: "there is more than one document"}
		default:
			root = doc.Body
		}
	}
	if root == nil {
		return nil, &Error{Reason: "the file is empty"}
	}
	return root, nil
}

// tooDeep is the line where brackets are nested too deeply, or 0. It counts also what
// stands in strings, where nobody leaves so many open.
func tooDeep(text []byte) int {
	depth, line := 0, 1
	for _, c := range text {
		switch c {
		case '[', '{':
			if depth++; depth > depthMax {
				return line
			}
		case ']', '}':
			depth = max(0, depth-1)
		case '\n':
			line++
		}
	}
	return 0
}

// syntaxError keeps line and message of a parser's error and drops its picture, a drawing
// over several lines that would spoil a log.
func syntaxError(err error) *Error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return &Error{Line: e.GetToken().Position.Line, Reason: e.GetMessage()}
	}
	return &Error{Reason: err.Error()}
}

// locate finds the line that a policy's error is about: that of its path, or of the
// nearest field around it.
func (d *decoder) locate(err error) error {
	p, ok := errors.AsType[*middleware.PolicyError](err)
	if !ok {
		return err
	}
	path := p.Path
	for d.lines[path] == 0 && path != "" {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return &Error{Line: d.lines[path], Field: p.Path, Value: p.Value, Reason: p.Reason}
}
