package middleware

import (
	"errors"
	"fmt"
	"strings"
)

// ErrPolicy is wrapped by every error about a [Policy] that cannot be.
var ErrPolicy = errors.New("invalid policy")

// PolicyError says what is wrong with a policy, and where.
type PolicyError struct {
	// Path leads to the value, in the words of the policy file, such as
	// "routes[2].rules[0].quota".
	Path string
	// Rule is the name of the rule that the value belongs to, or "".
	Rule string
	// Value is what stands there, or "" where something is missing.
	Value string
	// Reason says what is wrong with it, such as "is not within 1 to 2147483647".
	Reason string
}

// Error names the place, the rule, the value and the reason.
func (e *PolicyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "middleware: %v: %s", ErrPolicy, e.Path)
	if e.Rule != "" {
		fmt.Fprintf(&b, " (rule %q)", e.Rule)
	}
	b.WriteString(":")
	if e.Value != "" {
		b.WriteString(" " + e.Value)
	}
	b.WriteString(" " + e.Reason)
	return b.String()
}

// Unwrap makes errors.Is(err, ErrPolicy) true.
func (e *PolicyError) Unwrap() error { return ErrPolicy }

// fieldError is a PolicyError about a field; callers further up prefix its path.
func fieldError(field string, value any, reason string) *PolicyError {
	text := fmt.Sprint(value)
	if s, ok := value.(string); ok {
		text = fmt.Sprintf("%q", s)
	}
	return &PolicyError{Path: field, Value: text, Reason: reason}
}

// within prefixes the path of err, which may also be an ordinary error.
func within(path string, err error) *PolicyError {
	if p, ok := errors.AsType[*PolicyError](err); ok {
		moved := *p
		moved.Path = path + "." + p.Path
		return &moved
	}
	return &PolicyError{Path: path, Reason: err.Error()}
}
