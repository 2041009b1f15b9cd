package service

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// app holds what the handlers need.
type app struct {
	node *cluster.Node
	keys *Keys
}

// newApp returns the routes, not yet guarded.
func newApp(node *cluster.Node, keys *Keys) http.Handler {
	return explained{(&app{node, keys}).mux()}
}

// Mux has the routes of the service and nothing behind them. It is for Policy.Mux, by
// which patterns that no route has are refused; it must not serve.
func Mux() *http.ServeMux { return new(app).mux() }

func (a *app) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/authorize", a.authorize)
	mux.HandleFunc("POST /v1/token", a.token)
	mux.HandleFunc("POST /v1/token/refresh", a.refresh)
	mux.HandleFunc("POST /v1/tokens/verify", a.verify)
	mux.HandleFunc("GET /v1/agents", agents)
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /.well-known/jwks.json", a.jwks)
	return mux
}

// authorize returns a code for the caller. Any bearer token is an API key here, and none
// is a caller without a name: who may do what is not what this example is about.
func (a *app) authorize(w http.ResponseWriter, r *http.Request) {
	code, err := a.keys.issue(subject(r), useCode, codeLife)
	if err != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL", "The code could not be signed")
		return
	}
	reply(w, http.StatusOK, map[string]any{"code": code, "expiresIn": int(codeLife.Seconds())})
}

// subject names a caller without revealing the key.
func subject(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(scheme, "Bearer") || key == "" {
		return "anonymous"
	}
	sum := sha256.Sum256([]byte(key))
	return "key-" + hex.EncodeToString(sum[:8])
}

// token exchanges a code for tokens, once.
func (a *app) token(w http.ResponseWriter, r *http.Request) {
	c, ok := a.presented(w, r, "code", useCode)
	if !ok {
		return
	}
	// A token bucket of one that refills in the code's lifetime: a second take finds it
	// empty until the code has expired, on whichever node.
	once := limiter.Limit{Quota: 1, Window: codeLife, Algorithm: limiter.TokenBucket}
	d, err := a.node.Take(r.Context(), limiter.Key("authservice code", c.ID), once, 1)
	switch {
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "UNAVAILABLE", "The code could not be checked, try again")
	case !d.Allowed:
		fail(w, http.StatusBadRequest, "INVALID_GRANT", "The code was used already")
	default:
		a.grant(w, c.Subject)
	}
}

// refresh exchanges a refresh token for new tokens.
func (a *app) refresh(w http.ResponseWriter, r *http.Request) {
	if c, ok := a.presented(w, r, "refreshToken", useRefresh); ok {
		a.grant(w, c.Subject)
	}
}

// presented verifies the token in a field of the request, or answers why not.
func (a *app) presented(w http.ResponseWriter, r *http.Request, name string, u use) (claims, bool) {
	text, err := field(w, r, name)
	if err == nil && text == "" {
		err = fmt.Errorf("%s is missing", name)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_REQUEST", "Invalid request: "+err.Error())
		return claims{}, false
	}
	c, err := a.keys.verify(text, u)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_GRANT", "The "+name+" is not valid or has expired")
		return claims{}, false
	}
	return c, true
}

// grant answers with an access token and a refresh token.
func (a *app) grant(w http.ResponseWriter, subject string) {
	access, err := a.keys.issue(subject, useAccess, accessLife)
	refresh, err2 := a.keys.issue(subject, useRefresh, refreshLife)
	if cmp.Or(err, err2) != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL", "The tokens could not be signed")
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"accessToken": access, "tokenType": "Bearer", "expiresIn": int(accessLife.Seconds()), "refreshToken": refresh,
	})
}

// verify says whether an access token is good. A token that is not is an answer, not an
// error.
func (a *app) verify(w http.ResponseWriter, r *http.Request) {
	text, err := field(w, r, "token")
	if err == nil && text == "" {
		err = errors.New("token is missing")
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_REQUEST", "Invalid request: "+err.Error())
		return
	}
	c, err := a.keys.verify(text, useAccess)
	if err != nil {
		reply(w, http.StatusOK, map[string]any{"valid": false})
		return
	}
	reply(w, http.StatusOK, map[string]any{"valid": true, "subject": c.Subject, "expiresAt": c.Expiry.Time().Unix()})
}

// jwks is the public half of the key, for whoever verifies tokens without asking.
func (a *app) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	reply(w, http.StatusOK, a.keys.public)
}

// health is 200 once the node decides for all that it owns.
func (a *app) health(w http.ResponseWriter, _ *http.Request) {
	status, text := http.StatusOK, "ok"
	if !a.node.Ready() {
		status, text = http.StatusServiceUnavailable, "unavailable"
	}
	reply(w, status, map[string]any{"status": text, "node": a.node.Name(), "nodes": a.node.Stats().Live})
}

// explained gives the mux's own refusals (404, 405) the body of all other errors.
type explained struct{ mux *http.ServeMux }

// ServeHTTP serves a request by the mux.
func (e explained) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := e.mux.Handler(r)
	if pattern != "" {
		e.mux.ServeHTTP(w, r)
		return
	}
	refusal := mute{header: w.Header()}
	h.ServeHTTP(&refusal, r) // sets Allow for a 405
	code := strings.ToUpper(strings.ReplaceAll(http.StatusText(refusal.status), " ", "_"))
	fail(w, refusal.status, code, fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, http.StatusText(refusal.status)))
}

// mute keeps headers and status, and drops the body.
type mute struct {
	header http.Header
	status int
}

func (m *mute) Header() http.Header         { return m.header }
func (m *mute) Write(b []byte) (int, error) { return len(b), nil }
func (m *mute) WriteHeader(status int)      { m.status = status }
