package service

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
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

// badField is a field of a request that is missing or cannot be.
type badField struct{ field, why string }

// Error names the field.
func (b badField) Error() string { return b.field + " " + b.why }

func invalid(field, why string, args ...any) error { return badField{field, fmt.Sprintf(why, args...)} }

// missing names the first of some fields, each followed by its value, that is empty.
func missing(fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == "" {
			return invalid(fields[i], "is missing")
		}
	}
	return nil
}

// refuse answers with what went wrong.
func refuse(w http.ResponseWriter, err error) {
	if bad, ok := errors.AsType[badField](err); ok {
		fail(w, http.StatusBadRequest, "INVALID_REQUEST", "Invalid request: "+bad.Error())
		return
	}
	for _, known := range []struct {
		err    error
		status int
		code   string
	}{
		{errGrant, http.StatusBadRequest, "INVALID_GRANT"},
		{errUsed, http.StatusBadRequest, "INVALID_GRANT"},
		{errNoAgent, http.StatusNotFound, "NOT_FOUND"},
		{errSample, http.StatusForbidden, "FORBIDDEN"},
		{errFixed, http.StatusConflict, "CONFLICT"},
		{errTooOften, http.StatusConflict, "CONFLICT"},
		{errAgentsMax, http.StatusConflict, "CONFLICT"},
		{errUnsure, http.StatusServiceUnavailable, "UNAVAILABLE"},
	} {
		if errors.Is(err, known.err) {
			if known.status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "1")
			}
			text := strings.TrimPrefix(known.err.Error(), "service: ")
			fail(w, known.status, known.code, strings.ToUpper(text[:1])+text[1:])
			return
		}
	}
	fail(w, http.StatusInternalServerError, "INTERNAL", "The answer could not be made")
}

// decode reads a request's JSON object, whatever type it says it has.
func decode[T any](w http.ResponseWriter, r *http.Request) (body T, err error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	err = d.Decode(&body)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return body, invalid(wrong.Field, "cannot be a %s", wrong.Value)
	}
	if err != nil || d.Decode(new(any)) != io.EOF {
		return body, invalid("the body", "is not one JSON object of at most %d bytes", bodyMax)
	}
	return body, nil
}

// number reads a query parameter between 1 and most.
func number(r *http.Request, name string, byDefault, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, invalid(name, "%.40q is not a number from 1 to %d", text, most)
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
