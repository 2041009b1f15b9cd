package wire

import "github.com/weir-go/weir/transport"

// Silent asks a node who does not answer it.
type Silent struct{ Names []string }

// SilentMost is how many names an answer has at most.
const SilentMost = 256

const silentFields = 1

// AppendRequest encodes the question.
func (c *Silent) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

// ReadRequest decodes the question.
func (c *Silent) ReadRequest(body []byte) error { return readEmpty(body) }

// AppendAnswer encodes the answer.
func (c *Silent) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(transport.AppendArrayLen(b, silentFields), len(c.Names))
	for _, name := range c.Names {
		b = transport.AppendString(b, name)
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Silent) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	for range r.ArrayLen(SilentMost) {
		c.Names = append(c.Names, r.String())
	}
	return finish(&r, n, silentFields)
}
