package service

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
)

// bodyMax is more than any request to this service needs.
const bodyMax = 64 << 10

// failure is an error as clients see it.
type failure struct {
	Message   string `json:"message"`
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

// fail answers with an error. The request's id is on the response already.
func fail(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, failure{message, code, w.Header().Get("X-Request-Id")})
}

// reply answers with JSON that no cache should keep: most of it is secret.
func reply(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

// field reads one string from a request's JSON object or form.
func field(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		if err := r.ParseForm(); err != nil {
			return "", fmt.Errorf("the body is not a form: %w", err)
		}
		return r.PostForm.Get(name), nil
	}
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return "", errors.New("the body is not a JSON object")
	}
	var value string
	if raw, ok := body[name]; ok && json.Unmarshal(raw, &value) != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return value, nil
}

// number reads a query parameter between 1 and most.
func number(r *http.Request, name string, byDefault, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s %q is not a number from 1 to %d", name, text, most)
	}
	return n, nil
}

// identified puts an id on every response: the request's own where that is safe to
// repeat, else a new one. The middleware's refusals carry the same.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !isSane(id) {
			id = newUUID()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r)
	})
}

// isSane says whether an id is short and visible, by the contract.
func isSane(id string) bool {
	const idMax = 128
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= idMax
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
