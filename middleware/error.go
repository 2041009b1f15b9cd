package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrPolicy is wrapped by every error about a [Policy] that cannot be.
var ErrPolicy = errors.New("invalid policy")

// PolicyError says what is wrong with a policy, and where. Its text names the place in the
// words of Go, as [PolicyError.Field] does.
type PolicyError struct {
	// Path leads to the value in the words of the policy file, such as
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
	fmt.Fprintf(&b, "middleware: %v: %s", ErrPolicy, e.Field())
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

// Field leads to the value in the words of Go, such as "Routes[2].Rules[0].Limit.Quota".
func (e *PolicyError) Field() string {
	path, plan := e.Path, ""
	if before, after, ok := strings.Cut(path, ".plans."); ok {
		// A plan's name may be anything, and only the field of its limit comes after it.
		at := max(0, strings.LastIndexByte(after, '.'))
		path, plan = before, fmt.Sprintf(".Plans[%q].%s", after[:at], goName(after[at:]))
	}
	words := strings.Split(path, ".")
	for i, w := range words {
		words[i] = goName(w)
		if isLimitField(w) {
			words[i] = "Limit." + words[i]
		}
	}
	return strings.Join(words, ".") + plan
}

// isLimitField reports whether a rule's field in a file is one of its Limit in Go.
func isLimitField(word string) bool {
	return slices.Contains([]string{"quota", "window", "burst", "algorithm", "split", "lease", "align", "zone"}, word)
}

// goName is the Go name of a field of a policy file, with the index that it may have.
func goName(word string) string {
	word = strings.TrimPrefix(word, ".")
	name, index, indexed := strings.Cut(word, "[")
	switch name {
	case "pattern":
		name = "Patterns"
	case "headers":
		name = "Dialects"
	case "client-ip":
		name = "Address"
	case "ipv6Prefix":
		name = "IPv6Prefix"
	case "domain":
		name = "Name"
	case "skip_methods":
		name = "SkipMethods"
	case "":
	default:
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	if indexed {
		name += "[" + index
	}
	return name
}

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
