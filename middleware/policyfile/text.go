package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The bounds of a policy file. They come first, as the text may be from somebody who can
// write the file but should not be able to stop the service: within them the worst text
// that was found costs the parser 70 MB and 70 ms.
const (
	// sizeMax is the largest policy file, in bytes.
	sizeMax = 128 << 10
	// linesMax is the largest number of lines. A thousand routes take about six thousand.
	linesMax = 10_000
	// nameMax is the longest name of a field or a plan, in bytes.
	nameMax = 256
	// patternsMax is the largest number of patterns: http.ServeMux compares each with others.
	patternsMax = 3000
	// patternMax is the longest pattern, in bytes.
	patternMax = 1000
	// workMax bounds what a short text can multiply: the rules of a route are made for each
	// of its patterns. It counts what is written in them, about ten a rule.
	workMax = 500_000
	// depthMax bounds the nesting, of brackets and of indented blocks alike.
	depthMax = 32
)

// parse makes a tree of the one document in text. Nothing in the tree has an anchor, is
// an alias, or has a tag, no mapping has a name twice, and the nesting is bounded.
func parse(text []byte) (root *yaml.Node, err error) {
	if text, err = clean(text); err != nil {
		return nil, err
	}
	// The parser is not ours: a text that it cannot take must not end the service.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, &Error{Reason: fmt.Sprintf("the YAML parser gave up: %v", p)}
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(bounds{}))
	if err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	for {
		var doc yaml.Node
		switch err := loader.Load(&doc); {
		case errors.Is(err, io.EOF) && root == nil:
			return nil, &Error{Reason: "the file is empty"}
		case errors.Is(err, io.EOF):
			if e := plain(root, 0); e != nil {
				return nil, e
			}
			return root, nil
		case err != nil:
			return nil, syntaxError(err, 1+bytes.Count(text, []byte("\n")))
		case isEmpty(&doc): // as after a separator at the end
		case root != nil:
			return nil, &Error{Line: doc.Content[0].Line, Reason: "there is more than one document"}
		default:
			root = doc.Content[0]
		}
	}
}

// isEmpty reports whether a document says nothing at all.
func isEmpty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" && doc.Content[0].Value == ""
}

var errDeep = fmt.Errorf("it is nested more than %d deep", depthMax)

// bounds is asked by the parser while it reads.
type bounds struct{}

func (bounds) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > depthMax {
		return errDeep
	}
	return nil
}

// CheckAlias has nothing to say: a tree keeps an alias as it is, and plain refuses its anchor.
func (bounds) CheckAlias(int, int) error { return nil }

// clean checks what can be checked without a parser, and takes away what other programs
// put around a text: a byte order mark, and a version of YAML, which decides nothing
// here. Lines keep their numbers.
func clean(text []byte) ([]byte, error) {
	if len(text) > sizeMax {
		return nil, &Error{Reason: fmt.Sprintf("the file is larger than %d bytes", sizeMax)}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	line := 1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && n == 1:
			return nil, &Error{Line: line, Reason: "the file is not UTF-8 text"}
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n', r == '\t':
		case isControl(r):
			// To some readers these end a line, to others they are nothing at all: a file
			// must not mean one thing to its author and another to the service.
			return nil, &Error{Line: line, Value: fmt.Sprintf("%+q", r), Reason: "is a control character"}
		}
		i += n
	}
	if line > linesMax {
		return nil, &Error{Reason: fmt.Sprintf("the file has more than %d lines", linesMax)}
	}
	return withoutVersion(text), nil
}

// isControl reports whether r is a control character, a line end of its own kind, or a byte
// order mark within the text.
func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// withoutVersion turns "%YAML 1.2" at the head of a file into a comment. The parser knows
// only 1.1, and what differs between the two, such as 0404 and yes, is read by neither
// of them but refused.
func withoutVersion(text []byte) []byte {
	for at := 0; at < len(text); {
		end := len(text)
		if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		line := strings.TrimRight(string(text[at:end]), " \t\r\n")
		if version, ok := strings.CutPrefix(line, "%YAML 1."); ok && strings.Trim(version, "0123456789") == "" {
			text = bytes.Clone(text)
			text[at] = '#'
			return text
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			return text
		}
		at = end
	}
	return text
}

// plain refuses what makes a text mean something else than it shows: anchors, tags, and a
// name that is there twice. The path of an error is made on the way back: to make one for
// each node would multiply the longest name by the longest list.
func plain(n *yaml.Node, depth int) *Error {
	switch {
	case depth > depthMax: // the parser counts a list as deep as its name where both begin in one column
		return &Error{Line: n.Line, Reason: errDeep.Error()}
	case n.Anchor != "": // which comes before every alias of it
		return &Error{Line: n.Line, Value: "&" + n.Anchor, Reason: "is an anchor, which has no use here"}
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!":
		return &Error{Line: n.Line, Value: n.Tag, Reason: "is a tag, which has no use here"}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if err := plain(c, depth+1); err != nil {
				return err.under(fmt.Sprintf("[%d]", i))
			}
		}
	case yaml.MappingNode:
		return plainFields(n, depth)
	}
	return nil
}

// plainFields is plain for a mapping.
func plainFields(n *yaml.Node, depth int) *Error {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if err := plain(name, depth+1); err != nil {
			return err
		}
		switch {
		case !isString(name):
			return &Error{Line: name.Line, Value: shown(name), Reason: "is not a field's name"}
		case len(name.Value) > nameMax:
			return &Error{Line: name.Line, Value: shown(name), Reason: fmt.Sprintf("is a name of more than %d bytes", nameMax)}
		case seen[name.Value]:
			return &Error{Line: name.Line, Field: name.Value, Reason: "is there twice"}
		}
		seen[name.Value] = true
		if err := plain(value, depth+1); err != nil {
			return err.under(name.Value)
		}
	}
	return nil
}

// under puts a name or an index before the path of an error, but for the depth's.
func (e *Error) under(part string) *Error {
	switch {
	case e.Reason == errDeep.Error():
	case e.Field == "" || e.Field[0] == '[':
		e.Field = part + e.Field
	default:
		e.Field = part + "." + e.Field
	}
	return e
}

// work is how many nodes there are in these.
func work(nodes []*yaml.Node) (sum int) {
	for _, n := range nodes {
		sum += 1 + work(n.Content)
	}
	return sum
}

// syntaxError keeps of a parser's error what went wrong, on which line, and where that
// began: of a bracket that is never closed, the end of the file is no help.
func syntaxError(err error, lines int) *Error {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return &Error{Reason: err.Error()}
	}
	reason := e.Message
	if e.ContextMsg != "" && e.ContextMark.Line < e.Mark.Line {
		reason += fmt.Sprintf(" (%s of line %d)", e.ContextMsg, e.ContextMark.Line)
	}
	return &Error{Line: min(e.Mark.Line, lines), Reason: reason}
}
