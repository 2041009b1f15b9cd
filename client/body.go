package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	// bodyMax is how much of a refusal's body is read into memory and understood:
	// far more than any message, and parsed in well under a millisecond.
	bodyMax = 8 << 10
	// drainMax is how much of it is read over, to give the connection back.
	drainMax = 64 << 10
	// bodyTimeMax is how long a body may take where it is needed or there is time,
	// drainTime where a caller waits.
	bodyTimeMax = 5 * time.Second
	drainTime   = 100 * time.Millisecond

	// fieldMax is how much of a text from a body is kept.
	fieldMax = 512
)

// Codes that a refusal of weir's limiter has in its body.
const (
	CodeExceeded    = "RATE_LIMIT_EXCEEDED"
	CodeUnavailable = "RATE_LIMIT_UNAVAILABLE"
)

// drain reads what is left of a body, within bounds, and closes it: net/http keeps
// a connection only if the answer on it was read to its end.
func drain(body io.ReadCloser, limit time.Duration) {
	if body == nil {
		return // only hand-made answers have none
	}
	// A body that trickles is closed under the reader, which net/http allows, so
	// that it cannot hold the caller for ever.
	timer := time.AfterFunc(limit, func() { body.Close() })
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, drainMax)
	body.Close()
}

// closeBody closes the body of a request that is not sent: a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// refusal is the body of a 429 or 503: the contract's three fields and those of
// RFC 9457. Fields that are missing, or no strings, are empty.
type refusal struct {
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
	Message   string `json:"message"`
	Type      string `json:"type"`
	Detail    string `json:"detail"`
	Title     string `json:"title"`
}

// peek reads an answer's body if it is JSON, and puts it back for whoever reads
// the answer after us.
func peek(resp *http.Response, limit time.Duration) refusal {
	contentType, _ := single(resp.Header, "Content-Type")
	if resp.Body == nil || resp.ContentLength > bodyMax || !isJSON(contentType) {
		return refusal{}
	}
	// The head is read once and replayed; the rest, if any, stays a stream.
	body := resp.Body
	timer := time.AfterFunc(min(limit, bodyTimeMax), func() { body.Close() })
	defer timer.Stop()
	head := make([]byte, bodyMax)
	n, err := io.ReadFull(body, head)
	rest := io.Reader(body)
	switch err {
	case nil:
	case io.ErrUnexpectedEOF:
		rest = failed{io.EOF}
	default:
		rest = failed{err} // the end, or what cut the body short
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:n]), rest), body}
	return parseRefusal(head[:n])
}

// failed is a reader of which nothing is to be had but its error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// depthMax is how deep a refusal may be nested. It is flat; what is deeper would
// cost encoding/json thirty bytes of memory per byte.
const depthMax = 32

// deeper says that brackets are nested deeper than most, without parsing.
func deeper(body []byte, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case b == '"':
			quoted = !quoted
		case quoted && b == '\\':
			i++
		case quoted:
		case b == '[' || b == '{':
			if depth++; depth > most {
				return true
			}
		case b == ']' || b == '}':
			depth--
		}
	}
	return false
}

// parseRefusal reads as much as there is of a refusal.
func parseRefusal(body []byte) refusal {
	var r refusal
	if deeper(body, depthMax) {
		return r
	}
	if err := json.Unmarshal(body, &r); err != nil {
		// A field of another type (a numeric code, say) leaves the others readable.
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return refusal{}
		}
	}
	for _, s := range []*string{&r.Code, &r.RequestID, &r.Message, &r.Type, &r.Detail, &r.Title} {
		*s = clip(*s)
	}
	return r
}

// clip bounds a text from outside, on a rune's border.
func clip(s string) string {
	if len(s) <= fieldMax {
		return s
	}
	return strings.ToValidUTF8(s[:fieldMax], "")
}

// isJSON accepts application/json, application/problem+json and their kind.
func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}
