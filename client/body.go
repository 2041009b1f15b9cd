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
	// bodyMax is how much of a refusal's body is read, and how long for: enough
	// for any message, and to give the connection back for the next attempt.
	bodyMax     = 64 << 10
	bodyTimeMax = 5 * time.Second

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
func drain(body io.ReadCloser) {
	if body == nil {
		return // only hand-made answers have none
	}
	_, _ = within(body, io.Discard)
	body.Close()
}

// within copies up to bodyMax bytes. A body that trickles is closed under the
// reader, which net/http allows, so that it cannot hold the caller for ever.
func within(body io.ReadCloser, to io.Writer) (int64, error) {
	timer := time.AfterFunc(bodyTimeMax, func() { body.Close() })
	defer timer.Stop()
	return io.CopyN(to, body, bodyMax)
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
func peek(resp *http.Response) refusal {
	if resp.Body == nil || resp.ContentLength > bodyMax || !isJSON(resp.Header.Get("Content-Type")) {
		return refusal{}
	}
	// The head is read once and replayed; the rest, if any, stays a stream.
	var head bytes.Buffer
	_, err := within(resp.Body, &head)
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failed{err} // the end, or what cut the body short
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head.Bytes()), rest), resp.Body}
	return parseRefusal(head.Bytes())
}

// failed is a reader of which nothing is to be had but its error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// parseRefusal reads as much as there is of a refusal.
func parseRefusal(body []byte) refusal {
	var r refusal
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
