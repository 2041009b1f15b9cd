package service

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"
)

// errGrant is every reason for which a code or refresh token is refused that is not its
// having been used.
var (
	errGrant = errors.New("service: the code or refresh token is not valid or has expired")
	errUsed  = errors.New("service: the code or refresh token was used already")
)

// token answers POST /v1/token: a code for tokens, once.
func (a *app) token(w http.ResponseWriter, r *http.Request) {
	b, err := decode[struct {
		Code         string `json:"code"`
		AgentID      string `json:"agentId"`
		RedirectURI  string `json:"redirectUri"`
		CodeVerifier string `json:"codeVerifier"`
	}](w, r)
	var p permit
	if err == nil {
		err = missing("code", b.Code, "agentId", b.AgentID)
	}
	if err == nil {
		p, err = a.presented(r, kindCode, b.Code, b.AgentID)
	}
	if err == nil && (b.RedirectURI != "" && b.RedirectURI != p.Redirect || !proves(b.CodeVerifier, p.Challenge)) {
		err = errGrant
	}
	if err == nil {
		err = a.useOnce(r, codeUsed(p.ID))
	}
	a.grant(w, p, err)
}

// proves says whether a PKCE verifier is the one that a code was asked with (RFC 7636).
func proves(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(b64.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// refresh answers POST /v1/token/refresh: a refresh token for new tokens, once; or for a
// few minutes again to the request that had them, if it names itself by Idempotency-Key
// and comes again because its answer was lost.
func (a *app) refresh(w http.ResponseWriter, r *http.Request) {
	b, err := decode[struct {
		RefreshToken string `json:"refreshToken"`
		AgentID      string `json:"agentId"` // optional; checked if it is there
	}](w, r)
	var p permit
	if err == nil {
		err = missing("refreshToken", b.RefreshToken)
	}
	if err == nil {
		p, err = a.presented(r, kindRefresh, b.RefreshToken, b.AgentID)
	}
	if err == nil {
		err = a.useRefresh(r, p.ID)
	}
	a.grant(w, p, err)
}

func (a *app) useRefresh(r *http.Request, id string) error {
	err := a.useOnce(r, refreshUsed(id))
	key := r.Header.Get("Idempotency-Key")
	if !isSane(key) {
		return err
	}
	switch {
	case err == nil: // should this fail, only the retry will
		_, _ = a.marks.set(r.Context(), refreshWon(id, key))
	case errors.Is(err, errUsed):
		again, _, err2 := a.marks.isSet(r.Context(), refreshWon(id, key))
		if again || err2 != nil {
			return err2
		}
	}
	return err
}

// presented opens a code or refresh token, and says whether this caller may use it.
func (a *app) presented(r *http.Request, k kind, text, agentID string) (p permit, err error) {
	if a.keys.open(k, text, &p) != nil || time.Now().Unix() >= p.Expires || p.Developer != developer(r) ||
		agentID != "" && didOf(agentID) != p.Agent {
		return p, errGrant
	}
	revoked, err := a.marks.anySet(r.Context(), grantRevoked(p.Grant))
	if err == nil && revoked {
		return p, errGrant
	}
	usable, err2 := a.marks.isUsable(r.Context(), p.Agent)
	if err = errors.Join(err, err2); err == nil && !usable {
		return p, errGrant
	}
	return p, err
}

// useOnce is last, so that a refusal for another reason uses nothing up.
func (a *app) useOnce(r *http.Request, m mark) error {
	first, err := a.marks.set(r.Context(), m)
	if err == nil && !first {
		return errUsed
	}
	return err
}

// grant answers with a grant token and the next refresh token, or why not.
func (a *app) grant(w http.ResponseWriter, p permit, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	now := time.Now().UTC()
	ends := time.Unix(p.GrantEnds, 0).UTC()
	expires := now.Add(accessLife).Truncate(time.Second)
	if expires.After(ends) {
		expires = ends
	}
	access, err := a.keys.sign(claims{Issuer: a.issuer, Subject: p.Principal, Agent: p.Agent, Developer: p.Developer,
		Grant: p.Grant, Scopes: p.Scopes, ID: "tok_" + rand.Text(), IssuedAt: now.Unix(), Expiry: expires.Unix()})
	if err != nil {
		refuse(w, err)
		return
	}
	p.ID, p.Expires, p.Redirect, p.Challenge = rand.Text(), p.GrantEnds, "", ""
	refresh, err := a.keys.seal(kindRefresh, p)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusCreated, map[string]any{
		"grantToken": access, "refreshToken": refresh, "grantId": p.Grant, "scopes": p.Scopes, "expiresAt": expires,
	})
}

// verify answers POST /v1/tokens/verify. A token that is not good is an answer, not an
// error. Other than verifying offline, this hears of revocations.
func (a *app) verify(w http.ResponseWriter, r *http.Request) {
	b, err := decode[struct {
		Token string `json:"token"`
	}](w, r)
	if err == nil {
		err = missing("token", b.Token)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	c, err := a.keys.verify(b.Token, time.Now())
	if err != nil {
		reply(w, http.StatusOK, map[string]any{"valid": false})
		return
	}
	revoked, err := a.marks.anySet(r.Context(), tokenRevoked(c.ID), grantRevoked(c.Grant))
	usable, err2 := a.marks.isUsable(r.Context(), c.Agent)
	switch err = errors.Join(err, err2); {
	case revoked || err == nil && !usable:
		reply(w, http.StatusOK, map[string]any{"valid": false})
	case err != nil:
		refuse(w, err)
	default:
		reply(w, http.StatusOK, map[string]any{"valid": true, "grantId": c.Grant, "scopes": c.Scopes,
			"principal": c.Subject, "agent": c.Agent, "expiresAt": time.Unix(c.Expiry, 0).UTC()})
	}
}

// revoke answers POST /v1/tokens/revoke: by the id of one token ("jti"), or by the token
// itself. A refresh token is revoked with all of its grant.
func (a *app) revoke(w http.ResponseWriter, r *http.Request) {
	const idMax = 128
	b, err := decode[struct {
		ID    string `json:"jti"`
		Token string `json:"token"`
	}](w, r)
	if err == nil && b.Token == "" {
		err = missing("jti", b.ID)
	}
	if err == nil && len(b.ID) > idMax {
		err = invalid("jti", "is longer than %d bytes", idMax)
	}
	m := tokenRevoked(b.ID)
	if err == nil && b.Token != "" {
		m, err = a.revocationOf(b.Token)
	}
	if err == nil {
		_, err = a.marks.set(r.Context(), m)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *app) revocationOf(token string) (mark, error) {
	var p permit
	if a.keys.open(kindRefresh, token, &p) == nil {
		return grantRevoked(p.Grant), nil
	}
	c, err := a.keys.verify(token, time.Now())
	if err != nil {
		return mark{}, invalid("token", "is not one of this service, or has expired")
	}
	return tokenRevoked(c.ID), nil
}
