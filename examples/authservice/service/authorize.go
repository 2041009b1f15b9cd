package service

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	codeLife = 5 * time.Minute
	// accessLife is short: who verifies offline hears of no revocation.
	accessLife       = 15 * time.Minute
	grantLifeDefault = 24 * time.Hour
	// grantLifeMax is how long a client can go on without a new consent. What is known of
	// a grant is known for as long.
	grantLifeMax = 30 * 24 * time.Hour
)

// permit is what a principal has consented to. Sealed, it is a code or a refresh token.
type permit struct {
	ID        string   `json:"i"` // of this code or refresh token: it works once
	Expires   int64    `json:"e"` // of this code or refresh token, Unix seconds
	Grant     string   `json:"g"`
	GrantEnds int64    `json:"x"`
	Agent     string   `json:"a"` // DID
	Developer string   `json:"d"`
	Principal string   `json:"p"`
	Scopes    []string `json:"s"`
	Redirect  string   `json:"r,omitempty"` // for which the code was asked
	Challenge string   `json:"c,omitempty"` // PKCE, S256
}

// consent is an authorization request, sealed into its id. A sandbox does not ask anybody:
// whoever has the request has the consent.
type consent struct {
	Agent    string   `json:"a"` // name
	Scopes   []string `json:"s"`
	Code     string   `json:"c"`
	Redirect string   `json:"r,omitempty"`
	State    string   `json:"t,omitempty"`
	Expires  int64    `json:"e"`
}

// authorizeBody is what clients send.
type authorizeBody struct {
	AgentID             string   `json:"agentId"`
	PrincipalID         string   `json:"principalId"`
	UserID              string   `json:"userId"` // another name for the same
	Scopes              []string `json:"scopes"`
	ExpiresIn           string   `json:"expiresIn"` // of the grant, "24h" or "7d"
	RedirectURI         string   `json:"redirectUri"`
	State               string   `json:"state"`
	CodeChallenge       string   `json:"codeChallenge"`
	CodeChallengeMethod string   `json:"codeChallengeMethod"`
}

// check names the field that is missing or cannot be.
func (b *authorizeBody) check() (life time.Duration, err error) {
	const principalMax, uriMax, stateMax, challengeLen = 256, 1024, 512, 43
	if b.PrincipalID == "" {
		b.PrincipalID = b.UserID
	}
	switch {
	case b.AgentID == "":
		return 0, invalid("agentId", "is missing")
	case b.PrincipalID == "":
		return 0, invalid("principalId", "is missing")
	case len(b.PrincipalID) > principalMax:
		return 0, invalid("principalId", "is longer than %d bytes", principalMax)
	case len(b.Scopes) == 0:
		return 0, invalid("scopes", "is missing")
	case len(b.State) > stateMax:
		return 0, invalid("state", "is longer than %d bytes", stateMax)
	case b.CodeChallengeMethod != "" && b.CodeChallengeMethod != "S256":
		return 0, invalid("codeChallengeMethod", "%.40q is not S256", b.CodeChallengeMethod)
	case b.CodeChallenge != "" && len(b.CodeChallenge) != challengeLen:
		return 0, invalid("codeChallenge", "has not the %d characters of a SHA-256", challengeLen)
	}
	if b.RedirectURI != "" {
		u, err := url.Parse(b.RedirectURI)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" || len(b.RedirectURI) > uriMax {
			return 0, invalid("redirectUri", "%.100q is not an http or https URL without fragment, of at most %d bytes", b.RedirectURI, uriMax)
		}
	}
	if life, err = grantLife(b.ExpiresIn); err != nil {
		return 0, err
	}
	return life, checkScopes(b.Scopes)
}

// grantLife reads "24h", "7d" and the like; empty is a day.
func grantLife(text string) (time.Duration, error) {
	if text == "" {
		return grantLifeDefault, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 1000)) * 24 * time.Hour
	}
	if err != nil || d < time.Minute || d > grantLifeMax {
		return 0, invalid("expiresIn", `%.40q is not a time such as "24h" or "7d", from one minute to 30 days`, text)
	}
	return d, nil
}

// authorize answers POST /v1/authorize with a code, as a sandbox does: the consent that a
// principal would give at consentUrl is given.
func (a *app) authorize(w http.ResponseWriter, r *http.Request) {
	b, err := decode[authorizeBody](w, r)
	var life time.Duration
	if err == nil {
		life, err = b.check()
	}
	var who Agent
	if err == nil {
		who, err = a.agent(r.Context(), b.AgentID, developer(r))
	}
	if err == nil && who.Status != statusActive {
		err = invalid("agentId", "is of an agent that is %s", who.Status)
	}
	for _, s := range b.Scopes {
		if err == nil && !slices.Contains(who.Scopes, s) {
			err = invalid("scopes", "has %q, which the agent does not have", s)
		}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	now := time.Now().UTC().Truncate(time.Second)
	expires := now.Add(min(codeLife, life))
	code, err := a.keys.seal(kindCode, permit{ID: rand.Text(), Expires: expires.Unix(), Grant: "grnt_" + rand.Text(),
		GrantEnds: now.Add(life).Unix(), Agent: who.DID, Developer: developer(r), Principal: b.PrincipalID,
		Scopes: b.Scopes, Redirect: b.RedirectURI, Challenge: b.CodeChallenge})
	if err != nil {
		refuse(w, err)
		return
	}
	id, err := a.keys.seal(kindConsent, consent{who.Name, b.Scopes, code, b.RedirectURI, b.State, expires.Unix()})
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusCreated, map[string]any{
		"authRequestId": id, "consentUrl": a.issuer + "/consent?request=" + id, "expiresAt": expires,
		"agentId": b.AgentID, "principalId": b.PrincipalID, "scopes": b.Scopes, "expiresIn": life.String(),
		"status": "approved", "createdAt": now, "sandbox": true, "code": code,
	})
}

var consentPage = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>Consent</title>
<h1>{{.Agent}}</h1><p>may: {{range .Scopes}}<code>{{.}}</code> {{end}}</p>
<p>This is a sandbox: the consent is given. The code is <code style="overflow-wrap:anywhere">{{.Code}}</code></p>
`))

// consent answers GET /consent, where a principal is sent: on to where the client wants
// them, or to a page that shows the code.
func (a *app) consent(w http.ResponseWriter, r *http.Request) {
	var c consent
	if a.keys.open(kindConsent, r.URL.Query().Get("request"), &c) != nil || time.Now().Unix() >= c.Expires {
		refuse(w, invalid("request", "is unknown or has expired"))
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if to, err := url.Parse(c.Redirect); err == nil && c.Redirect != "" {
		// Not an open redirect: the address is from an authorization request, and sealed.
		q := to.Query()
		q.Set("code", c.Code)
		if c.State != "" {
			q.Set("state", c.State)
		}
		to.RawQuery = q.Encode()
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_ = consentPage.Execute(w, c) // a client that is gone needs no page
}
