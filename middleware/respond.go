package middleware

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Refusal is what a refused client is told.
type Refusal struct {
	// Status is 429 (nothing left), 503 (the limiter cannot decide) or 403 (the rule's
	// key is absent, or its quota is 0).
	Status int
	// Code is RATE_LIMIT_EXCEEDED, RATE_LIMIT_UNAVAILABLE, RATE_LIMIT_KEY_MISSING or
	// RATE_LIMIT_BLOCKED.
	Code string
	// Message is for people.
	Message string
	// RequestID is the request's X-Request-Id where that is sane, that is of 1 to 128
	// visible ASCII characters, else a new UUID.
	RequestID string
	// RetryAfter is the header's value in seconds; 0 if waiting does not help.
	RetryAfter int64
	// Rules are the names of the rules that refused.
	Rules []string
}

// refuse says in h that the request is refused, and returns the rest for a body.
func (p *compiled) refuse(h http.Header, x *exchange, status int) Refusal {
	v := p.refusal(status, x.calls)
	v.RequestID = x.id
	if v.RetryAfter > 0 {
		h[headerRetryAfter] = []string{strconv.FormatInt(v.RetryAfter, 10)}
	}
	h[headerRequestID] = []string{v.RequestID}
	// The answer holds for this client and this moment, never for a shared cache.
	h["Cache-Control"] = []string{"no-store"}
	return v
}

// answer writes a refusal in the place of the handler.
func (p *compiled) answer(w http.ResponseWriter, r *http.Request, v Refusal) {
	switch {
	case p.respond != nil:
		respondBy(p.respond, w, r, v)
	case p.problem:
		v.writeProblem(w)
	default:
		v.write(w)
	}
}

// respondBy lets a responder of the policy answer. One that forgets the status does not
// say 200 to a client that was refused.
func respondBy(respond func(http.ResponseWriter, *http.Request, Refusal), w http.ResponseWriter, r *http.Request, v Refusal) {
	o := &observer{ResponseWriter: w, implied: v.Status}
	respond(o.full(), r, v)
	if o.status == 0 && !o.hijacked {
		w.WriteHeader(v.Status)
	}
}

// refusal puts the decisions into words.
func (p *compiled) refusal(status int, calls []call) Refusal {
	v := Refusal{Status: status}
	var wait time.Duration
	blocked := false
	for i := range calls {
		c := &calls[i]
		if c.rule.shadow || !c.verdict.refusedWith(status) {
			continue
		}
		v.Rules = append(v.Rules, c.rule.name)
		blocked = blocked || c.verdict == Blocked
		if c.verdict.denies() {
			// All of them must admit, so the longest wait counts.
			wait = max(wait, c.decision.RetryAfter)
		}
	}
	switch status {
	case http.StatusTooManyRequests:
		v.RetryAfter = max(1, seconds(wait))
		unit := "seconds"
		if v.RetryAfter == 1 {
			unit = "second"
		}
		v.Code = "RATE_LIMIT_EXCEEDED"
		v.Message = fmt.Sprintf("Rate limit exceeded, retry in %d %s", v.RetryAfter, unit)
	case http.StatusServiceUnavailable:
		v.RetryAfter = 1
		v.Code = "RATE_LIMIT_UNAVAILABLE"
		v.Message = "Rate limiting is temporarily unavailable"
	default:
		v.Code = "RATE_LIMIT_KEY_MISSING"
		v.Message = "The request does not say whose limit it counts against"
		if blocked {
			v.Code = "RATE_LIMIT_BLOCKED"
			v.Message = "Requests like this one are not admitted"
		}
	}
	return v
}

// write sends the contract's body.
func (v Refusal) write(w http.ResponseWriter) {
	send(w, v.Status, "application/json", struct {
		Message   string `json:"message"`
		Code      string `json:"code"`
		RequestID string `json:"requestId"`
	}{v.Message, v.Code, v.RequestID})
}

// problemTypes is the registry of RFC 9457; the draft registers its types there.
const problemTypes = "https://iana.org/assignments/http-problem-types#"

// writeProblem sends the same as application/problem+json.
func (v Refusal) writeProblem(w http.ResponseWriter) {
	kind, title := "about:blank", http.StatusText(v.Status)
	var violated []string
	switch v.Status {
	case http.StatusTooManyRequests:
		violated = v.Rules
		kind, title = problemTypes+"quota-exceeded", "Request cannot be satisfied as assigned quota has been exceeded"
	case http.StatusServiceUnavailable:
		kind, title = problemTypes+"temporary-reduced-capacity", "Request cannot be satisfied due to temporary server capacity constraints"
	}
	send(w, v.Status, "application/problem+json", struct {
		Type      string   `json:"type"`
		Title     string   `json:"title"`
		Status    int      `json:"status"`
		Detail    string   `json:"detail"`
		Violated  []string `json:"violated-policies,omitempty"`
		Code      string   `json:"code"`
		RequestID string   `json:"requestId"`
	}{kind, title, v.Status, v.Message, violated, v.Code, v.RequestID})
}

// send writes a body of known length.
func send(w http.ResponseWriter, status int, contentType string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // only strings and numbers: cannot happen
	}
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone; nobody is left to tell
}
