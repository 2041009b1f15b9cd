package service

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// app holds what the handlers need.
type app struct {
	marks  marks
	keys   *Keys
	agents *Agents // nil where several processes would each have their own
	issuer string  // what tokens name, and where principals are sent
	health func() (ok bool, name string, nodes int)
}

// handler are the routes, not yet guarded.
func (a *app) handler() http.Handler { return explained{a.mux()} }

// Mux has the routes of the service and nothing behind them. It is for Policy.Mux, by
// which patterns that no route has are refused; it must not serve.
func Mux() *http.ServeMux { return new(app).mux() }

func (a *app) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/agents", a.listAgents)
	mux.HandleFunc("POST /v1/agents", a.createAgent)
	mux.HandleFunc("GET /v1/agents/{id}", a.getAgent)
	mux.HandleFunc("PATCH /v1/agents/{id}", a.updateAgent)
	mux.HandleFunc("POST /v1/agents/{id}", a.updateAgent)
	mux.HandleFunc("DELETE /v1/agents/{id}", a.deleteAgent)
	mux.HandleFunc("POST /v1/authorize", a.authorize)
	mux.HandleFunc("GET /consent", a.consent)
	mux.HandleFunc("POST /v1/token", a.token)
	mux.HandleFunc("POST /v1/token/refresh", a.refresh)
	mux.HandleFunc("POST /v1/tokens/verify", a.verify)
	mux.HandleFunc("POST /v1/tokens/revoke", a.revoke)
	mux.HandleFunc("GET "+healthPath, a.healthCheck)
	mux.HandleFunc("GET "+livePath, a.alive)
	mux.HandleFunc("GET /.well-known/jwks.json", a.jwks)
	return mux
}

// developer names a caller without revealing the key. Any bearer token is an API key here,
// and none is a developer of that name: who may do what is not what this example is about.
func developer(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(scheme, "Bearer") || key == "" {
		return "dev_anonymous"
	}
	sum := sha256.Sum256([]byte(key))
	return "dev_" + hex.EncodeToString(sum[:8])
}

// jwks is the public half of the key, for whoever verifies tokens without asking.
func (a *app) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	reply(w, http.StatusOK, map[string]any{"keys": []jwk{a.keys.public}})
}

// healthCheck is 200 while the node can answer and is to be asked.
func (a *app) healthCheck(w http.ResponseWriter, _ *http.Request) {
	ok, name, nodes := a.health()
	status, text := http.StatusOK, "ok"
	if !ok {
		status, text = http.StatusServiceUnavailable, "unavailable"
	}
	reply(w, status, map[string]any{"status": text, "node": name, "nodes": nodes})
}

// alive is 200 as long as the process answers: who drains, leaves or has lost the others is not to
// be started anew for it.
func (a *app) alive(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"status": "ok"})
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
