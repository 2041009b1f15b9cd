package policyfile

import (
	"cmp"
	_ "embed" // for the reference policy and the schema
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
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
	// Hooks are the functions of the policy, such as Claims and OnDecision.
	Hooks Hooks
	// Keys are keys that the file uses as {custom: NAME}.
	Keys map[string]middleware.Key
	// Costs are functions that the file uses as cost: {custom: NAME}.
	Costs map[string]func(r *http.Request) int64
	// Limits are functions that the file uses as limit: {custom: NAME}, for [middleware.Rule].LimitOf.
	Limits map[string]func(r *http.Request) (limiter.Limit, bool)
	// Adjust, if set, completes the policy that the file gives before it is checked, such as
	// with a route that this program always exempts. An error of it refuses the file.
	Adjust func(p *middleware.Policy) error
	// Every is how often Watch looks at the file; 0 means every second.
	Every time.Duration
	// OnReload hears of each attempt of Watch to put a changed file in force: nil, or
	// why the old policy stays. What fails again in the same way is told once. It is
	// called by one goroutine at a time, and must not call the Watcher.
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

// Load reads a policy file. The error is that of Parse with the file's name in it, that of
// the file system, or [ErrNotRegular].
func Load(path string, o Options) (middleware.Policy, error) {
	content, err := read(path)
	if err != nil {
		return middleware.Policy{}, err
	}
	return parseFile(path, content.text, o)
}

// parseFile is Parse with the file's name in the error.
func parseFile(path string, text []byte, o Options) (middleware.Policy, error) {
	p, err := Parse(text, o)
	if e, ok := errors.AsType[*Error](err); ok {
		e.File = path
	}
	return p, err
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
	d := &decoder{options: o, lines: map[string]int{}, written: map[string]string{}, spelt: map[string]string{}}
	p := d.policy(root)
	if d.err != nil {
		return middleware.Policy{}, d.err
	}
	if o.Adjust != nil {
		if err := o.Adjust(&p); err != nil {
			return middleware.Policy{}, d.locate(err)
		}
	}
	if err := p.Check(); err != nil {
		return middleware.Policy{}, d.locate(err)
	}
	return p, nil
}

// locate finds the line that a policy's error is about: that of its path, or of the
// nearest field around it.
func (d *decoder) locate(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own // from Adjust
	}
	p, ok := errors.AsType[*middleware.PolicyError](err)
	if !ok {
		return &Error{Reason: err.Error()}
	}
	path := p.Path
	for d.lines[path] == 0 && path != "" {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	value := cmp.Or(d.spelt[p.Path], p.Value)
	if !strings.HasPrefix(value, `"`) {
		value = inFile.Replace(value)
	}
	return &Error{
		Line: d.lines[path], Field: cmp.Or(d.written[p.Path], p.Path), Value: value, Reason: inFile.Replace(p.Reason),
	}
}

// inFile turns what the check of a policy says in the words of Go into those of a file.
var inFile = strings.NewReplacer("TokenBucket", limiter.TokenBucket.String(),
	"Always[", "always[", "Default[", "default[", "Routes[", "routes[", "].Rules[", "].rules[",
	"Domains[", "domains[", "].Descriptors[", "].descriptors[", "].Rule", "].rule",
	"XRateLimitSeconds", "x-ratelimit-seconds", "XRateLimit", "x-ratelimit", "NoHeaders", "none")
