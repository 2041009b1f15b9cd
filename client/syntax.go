package client

import "strings"

// kind is the type of a bare item of RFC 9651, as far as the drafts care.
type kind uint8

const (
	kindOther   kind = iota // decimal, negative, byte sequence, boolean, date, display string
	kindInteger             // not negative
	kindString
	kindToken
)

// bare is a bare item: a number for kindInteger, else its text. The text of a
// string is still escaped, which is enough to compare names.
type bare struct {
	kind   kind
	number int64
	text   string
}

// name is the text as its author meant it.
func (b bare) name() string {
	if b.kind != kindString || !strings.Contains(b.text, `\`) {
		return b.text
	}
	var out strings.Builder
	for i := 0; i < len(b.text); i++ {
		if b.text[i] == '\\' {
			i++ // the parser has seen that a character follows
		}
		out.WriteByte(b.text[i])
	}
	return out.String()
}

// cursor reads a structured field (RFC 9651, section 4.2) without copying it. Inner
// lists are refused: no member of these fields may be one.
type cursor struct {
	s string
	i int
}

// parseList appends the members of a List to list, or says that the line breaks
// the syntax. A line without members is an empty list.
func parseList(line string, list []policy) ([]policy, bool) {
	c := cursor{s: line}
	for more := c.first(); more; more = c.next() {
		var p policy
		if len(list) == policiesMax || !c.item(&p) {
			return nil, false
		}
		list = append(list, p)
	}
	if !c.done() {
		return nil, false
	}
	return list, true
}

// first goes to the first member and says if there is one.
func (c *cursor) first() bool {
	c.skipSpace()
	return c.i < len(c.s)
}

// next goes over the comma to the next member and says if there is one. After a
// comma there must be.
func (c *cursor) next() bool {
	start := c.i // to go back to, if the comma leads nowhere
	c.skipBlank()
	if !c.take(',') {
		return false
	}
	c.skipBlank()
	if c.i == len(c.s) {
		c.i = start // a trailing comma is left over, so done will say no
		return false
	}
	return true
}

// done says that nothing but spaces is left.
func (c *cursor) done() bool {
	c.skipBlank()
	return c.i == len(c.s)
}

// item reads a bare item and its parameters into p.
func (c *cursor) item(p *policy) bool {
	var ok bool
	if p.bare, ok = c.bare(); !ok {
		return false
	}
	// No bound on parameters is needed: they are not kept, and the line is finite.
	for c.take(';') {
		c.skipSpace()
		key := c.key()
		if key == "" {
			return false
		}
		value := bare{text: "?1"} // a parameter without a value is true
		if c.take('=') {
			if value, ok = c.bare(); !ok {
				return false
			}
		}
		p.set(key, value)
	}
	return true
}

// key reads a parameter's or dictionary's key, "" if there is none.
func (c *cursor) key() string {
	start := c.i
	for c.i < len(c.s) {
		b := c.s[c.i]
		first := 'a' <= b && b <= 'z' || b == '*'
		if !first && (c.i == start || !isDigit(b) && strings.IndexByte("_-.", b) < 0) {
			break
		}
		c.i++
	}
	return c.s[start:c.i]
}

// bare reads a bare item of any type.
func (c *cursor) bare() (bare, bool) {
	switch b := c.peek(); {
	case b == '"':
		return c.str()
	case b == '-' || isDigit(b):
		return c.number()
	case b == '*' || isLetter(b):
		return bare{kind: kindToken, text: c.run(isTokenByte)}, true
	case b == ':':
		c.i++
		text := c.run(isBase64Byte)
		return bare{text: text}, c.take(':')
	case b == '?':
		c.i++
		return bare{text: "?"}, c.take('0') || c.take('1')
	case b == '@':
		c.i++
		n, ok := c.number()
		return bare{text: "@"}, ok && n.text != "."
	case b == '%':
		c.i++
		b, ok := c.str()
		return bare{text: b.text}, ok
	}
	return bare{}, false
}

// str reads a string in double quotes; its text is what is between them.
func (c *cursor) str() (bare, bool) {
	if !c.take('"') {
		return bare{}, false
	}
	start := c.i
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			c.i++
			return bare{kind: kindString, text: c.s[start : c.i-1]}, true
		case b == '\\':
			c.i++
			if e := c.peek(); e != '"' && e != '\\' {
				return bare{}, false
			}
		case b < ' ' || b > '~': // strings are ASCII; others come as display strings
			return bare{}, false
		}
	}
	return bare{}, false
}

// number reads an Integer or a Decimal. Only an Integer that is not negative has a
// use here; the text of a Decimal is ".".
func (c *cursor) number() (bare, bool) {
	negative := c.take('-')
	digits := c.run(isDigit)
	// A sixteenth digit breaks the syntax; it is not a large number cut short.
	if digits == "" || len(digits) > digitsMax {
		return bare{}, false
	}
	if c.take('.') {
		fraction := c.run(isDigit)
		return bare{text: "."}, len(digits) <= 12 && 1 <= len(fraction) && len(fraction) <= 3
	}
	if negative {
		return bare{text: "-"}, true
	}
	n, _, ok := decimal(digits)
	return bare{kind: kindInteger, number: n}, ok
}

// run takes as many bytes as are in the set.
func (c *cursor) run(in func(byte) bool) string {
	start := c.i
	for c.i < len(c.s) && in(c.s[c.i]) {
		c.i++
	}
	return c.s[start:c.i]
}

// peek is the next byte, 0 at the end: no byte that the syntax knows.
func (c *cursor) peek() byte {
	if c.i < len(c.s) {
		return c.s[c.i]
	}
	return 0
}

// take goes over b if it is next.
func (c *cursor) take(b byte) bool {
	if c.peek() != b || c.i == len(c.s) {
		return false
	}
	c.i++
	return true
}

// skipSpace goes over spaces, skipBlank over tabs as well: RFC 9651 allows tabs
// around commas only.
func (c *cursor) skipSpace() { c.run(func(b byte) bool { return b == ' ' }) }
func (c *cursor) skipBlank() { c.run(func(b byte) bool { return b == ' ' || b == '\t' }) }

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// isTokenByte is tchar of RFC 9110, and the two that RFC 9651 adds, ':' and '/'.
func isTokenByte(b byte) bool {
	return isLetter(b) || isDigit(b) || b != 0 && strings.IndexByte("!#$%&'*+-.^_`|~:/", b) >= 0
}

// isBase64Byte does not ask for right padding: the bytes are compared, never decoded.
func isBase64Byte(b byte) bool {
	return isLetter(b) || isDigit(b) || b == '+' || b == '/' || b == '='
}
