package status

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

const (
	bodyMost   = 64 << 10
	cookieName = "weir-status"
	cookieLen  = 32 // hex-like text of 16 bytes and more
)

// ServeHTTP answers GET with the report, and POST with it and what was asked.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		p.answer(w, r, p.report(r.Context()))
	case http.MethodPost:
		p.post(w, r)
	default:
		h.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "the status page has GET and POST", http.StatusMethodNotAllowed)
	}
}

// post answers the form.
func (p *Page) post(w http.ResponseWriter, r *http.Request) {
	if err := p.foreign.Check(r); err != nil {
		http.Error(w, "this came from another site", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyMost)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	if len(r.PostForm) == 0 {
		http.Error(w, "the form is empty: it has rule and subject, as application/x-www-form-urlencoded", http.StatusBadRequest)
		return
	}
	q, ok := questionOf(r.PostForm.Get("rule"), r.PostForm["subject"])
	if !ok {
		http.Error(w, "the subject is too long", http.StatusBadRequest)
		return
	}
	done := ""
	switch r.PostForm.Get("action") {
	case "", "explain":
	case "reset":
		if done, ok = p.reset(w, r, q); !ok {
			return
		}
	default:
		http.Error(w, "the action is explain or reset", http.StatusBadRequest)
		return
	}
	answer := p.report(r.Context())
	answer.Explained, answer.Done = p.explain(r.Context(), q), done
	p.answer(w, r, answer)
}

// reset makes budgets whole, if that is allowed and the request has the page's token. Where ok is false it
// has answered.
func (p *Page) reset(w http.ResponseWriter, r *http.Request, q Question) (done string, ok bool) {
	refuse := func(status int, why string) (string, bool) {
		http.Error(w, why, status)
		return "", false
	}
	g := p.guard.Load()
	switch {
	case !p.cfg.AllowReset:
		return refuse(http.StatusForbidden, "resets are not allowed here: see Config.AllowReset")
	case !p.hasToken(r):
		return refuse(http.StatusForbidden, "the token of the form is missing or of another page: load the page again")
	case g == nil || q.Rule == "":
		return refuse(http.StatusBadRequest, "a reset needs the name of one rule")
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainTimeout)
	defer cancel()
	parts, err := g.Parts(q.Rule, q.Subject...)
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "not reset: "+err.Error())
	case len(parts) == 0 && len(q.Subject) > 0:
		return refuse(http.StatusBadRequest, "not reset: the rule has one budget for all, whatever the subject; ask without one")
	}
	if err := g.Reset(ctx, q.Rule, parts...); err != nil {
		return refuse(http.StatusServiceUnavailable, "not reset: "+err.Error())
	}
	id, _ := g.KeyID(q.Rule, parts...)
	p.cfg.Logger.Info("a budget was reset from the status page", "node", p.node.Name(), "rule", q.Rule, "id", idText(id))
	return "The budget is whole again, and a ban of the rule is lifted.", true
}

// answer writes a report in the form that was asked for.
func (p *Page) answer(w http.ResponseWriter, r *http.Request, report *Report) {
	var b bytes.Buffer
	if r.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		if err := e.Encode(report); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		v := &view{Report: report, AllowReset: p.cfg.AllowReset, Explains: p.guard.Load() != nil}
		if p.cfg.AllowReset {
			v.Token = p.tokenFor(p.cookie(w, r))
		}
		if err := page.Execute(&b, v); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	_, _ = w.Write(b.Bytes()) // who asked may be gone
}

// cookie is what the token of a browser hangs on: it makes one where there is none.
func (p *Page) cookie(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(cookieName); err == nil && len(c.Value) >= cookieLen {
		return c.Value
	}
	value := rand.Text() + rand.Text()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, HttpOnly: true, Secure: r.TLS != nil,
		SameSite: http.SameSiteStrictMode, MaxAge: int((12 * time.Hour).Seconds())})
	return value
}

// tokenFor is the token of a cookie: nobody makes one without the key, which no other process has.
func (p *Page) tokenFor(cookie string) string {
	m := hmac.New(sha256.New, p.token[:])
	m.Write([]byte(cookie))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (p *Page) hasToken(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && len(c.Value) >= cookieLen && hmac.Equal([]byte(r.PostForm.Get("token")), []byte(p.tokenFor(c.Value)))
}
