package service_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/examples/authservice/service"
)

// newAgent makes an agent.
func newAgent(t *testing.T, s *service.Server, scopes ...string) string {
	t.Helper()
	a := send(t, s, "POST", "/v1/agents", object(t, "name", "Email", "description", "Sends", "scopes", scopes))
	require.Equal(t, http.StatusCreated, a.status, a.text)
	return a.str(t, "agentId")
}

// newCode is a code for an agent.
func newCode(t *testing.T, s *service.Server, agent string, scopes ...string) answer {
	t.Helper()
	a := send(t, s, "POST", "/v1/authorize", object(t, "agentId", agent, "principalId", "user-1", "scopes", scopes))
	require.Equal(t, http.StatusCreated, a.status, a.text)
	return a
}

// signedOffline verifies a token with the published keys and the standard library, as
// somebody does who has none of this package. It returns the claims.
func signedOffline(t *testing.T, jwks, token string) map[string]any {
	t.Helper()
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(jwks), &set))
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	decoded := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err, text)
		return b
	}
	var header map[string]string
	require.NoError(t, json.Unmarshal(decoded(parts[0]), &header))
	signed, signature := parts[0]+"."+parts[1], decoded(parts[2])
	for _, k := range set.Keys {
		if k["kid"] != header["kid"] {
			continue
		}
		require.Equal(t, header["alg"], k["alg"])
		require.Empty(t, k["d"], "no private key is published")
		switch k["kty"] {
		case "RSA":
			sum := sha256.Sum256([]byte(signed))
			public := rsa.PublicKey{N: new(big.Int).SetBytes(decoded(k["n"])), E: int(new(big.Int).SetBytes(decoded(k["e"])).Int64())}
			require.Equal(t, "RS256", k["alg"])
			require.NoError(t, rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], signature))
		default:
			require.Equal(t, "EdDSA", k["alg"])
			require.True(t, ed25519.Verify(decoded(k["x"]), []byte(signed), signature))
		}
		var claims map[string]any
		require.NoError(t, json.Unmarshal(decoded(parts[1]), &claims))
		return claims
	}
	require.FailNow(t, "the token's key is not published", "%s %s", jwks, parts[0])
	return nil
}

// One grant, each step on the other node: what one made the other one knows.
func TestGrantOverTwoNodes(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keys, err := service.NewKeys([]byte(secret), key)
	require.NoError(t, err)
	for name, by := range map[string]func(*service.Config){
		"RS256": func(c *service.Config) { c.Keys, c.Issuer = keys, "https://auth.example.org" },
		"EdDSA": func(c *service.Config) { c.Issuer = "https://auth.example.org" },
	} {
		t.Run(name, func(t *testing.T) { grantOverTwoNodes(t, by) })
	}
}

func grantOverTwoNodes(t *testing.T, by func(*service.Config)) {
	a, b := startTwo(t, by)
	agent := newAgent(t, a, "email:read", "email:send")
	asked := newCode(t, b, agent, "email:read")
	assert.Equal(t, "https://auth.example.org/consent?request="+asked.str(t, "authRequestId"), asked.body["consentUrl"])
	until(t, asked.str(t, "expiresAt"), 5*time.Minute)

	exchange := object(t, "code", asked.body["code"], "agentId", agent)
	tokens := send(t, a, "POST", "/v1/token", exchange)
	require.Equal(t, http.StatusCreated, tokens.status, tokens.text)
	assert.Equal(t, "no-store", tokens.header.Get("Cache-Control"))
	assert.Equal(t, []any{"email:read"}, tokens.body["scopes"])
	until(t, tokens.str(t, "expiresAt"), 15*time.Minute)
	for _, s := range []*service.Server{a, b} {
		again := send(t, s, "POST", "/v1/token", exchange)
		assert.Equal(t, http.StatusBadRequest, again.status)
		assert.Equal(t, "INVALID_GRANT", again.body["code"])
		assert.Contains(t, again.body["message"], "used already")
	}

	renew := object(t, "refreshToken", tokens.body["refreshToken"], "agentId", agent)
	refreshed := send(t, b, "POST", "/v1/token/refresh", renew)
	require.Equal(t, http.StatusCreated, refreshed.status, refreshed.text)
	assert.Equal(t, tokens.body["grantId"], refreshed.body["grantId"], "it is one grant")
	assert.Contains(t, send(t, a, "POST", "/v1/token/refresh", renew).body["message"], "used already")

	access := refreshed.str(t, "grantToken")
	verified := send(t, a, "POST", "/v1/tokens/verify", object(t, "token", access))
	assert.Equal(t, true, verified.body["valid"], verified.text)
	assert.Equal(t, "user-1", verified.body["principal"])
	assert.Equal(t, refreshed.body["expiresAt"], verified.body["expiresAt"])

	jwks := send(t, a, "GET", "/.well-known/jwks.json", "").text
	assert.Equal(t, jwks, send(t, b, "GET", "/.well-known/jwks.json", "").text, "all nodes have one key set")
	claims := signedOffline(t, jwks, access)
	assert.Equal(t, "https://auth.example.org", claims["iss"])
	assert.Equal(t, "user-1", claims["sub"])
	assert.Equal(t, verified.body["agent"], claims["agt"])
	assert.Equal(t, verified.body["grantId"], claims["grnt"])
	assert.Equal(t, []any{"email:read"}, claims["scp"])
	assert.Regexp(t, `^dev_[0-9a-f]{16}$`, claims["dev"], "the API key itself is in no token")

	valid := func(s *service.Server, token any) any {
		return send(t, s, "POST", "/v1/tokens/verify", object(t, "token", token)).body["valid"]
	}
	assert.Equal(t, http.StatusNoContent, send(t, b, "POST", "/v1/tokens/revoke", object(t, "jti", claims["jti"])).status)
	assert.Equal(t, false, valid(a, access))
	assert.Equal(t, true, valid(a, tokens.body["grantToken"]), "the other token of the grant is not revoked")
	// A refresh token takes the whole grant with it, and cannot be used any more.
	revoke := object(t, "token", refreshed.body["refreshToken"])
	for range 2 {
		assert.Equal(t, http.StatusNoContent, send(t, a, "POST", "/v1/tokens/revoke", revoke).status, "twice is as once")
	}
	assert.Equal(t, false, valid(b, tokens.body["grantToken"]))
	last := send(t, b, "POST", "/v1/token/refresh", object(t, "refreshToken", refreshed.body["refreshToken"]))
	assert.Equal(t, http.StatusBadRequest, last.status, last.text)
}

// until checks that a time is written as RFC 3339, and about so far away.
func until(t *testing.T, text string, d time.Duration) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	assert.InDelta(t, d.Seconds(), time.Until(at).Seconds(), 60)
}

// A refresh whose answer was lost may be sent again: by the request that won, on any
// node, and by nobody else.
func TestRefreshAgain(t *testing.T) {
	a, b := startTwo(t)
	tokens := send(t, a, "POST", "/v1/token", object(t, "agentId", "agent-1",
		"code", newCode(t, b, "agent-1", "billing:read").body["code"]))
	refresh := func(s *service.Server, key string) answer {
		return send(t, s, "POST", "/v1/token/refresh", object(t, "refreshToken", tokens.body["refreshToken"]), "Idempotency-Key", key)
	}
	first := refresh(a, "k1")
	require.Equal(t, http.StatusCreated, first.status, first.text)
	again := refresh(b, "k1")
	require.Equal(t, http.StatusCreated, again.status, again.text)
	assert.Equal(t, first.body["grantId"], again.body["grantId"])
	for _, other := range []string{"k2", "k2", "", "two words", strings.Repeat("k", 129)} {
		assert.Contains(t, refresh(b, other).body["message"], "used already", other)
	}
	require.Equal(t, http.StatusNoContent, send(t, b, "POST", "/v1/tokens/revoke", object(t, "token", first.body["refreshToken"])).status)
	assert.Equal(t, http.StatusBadRequest, refresh(a, "k1").status, "not of a grant that was revoked")
}

// What is made for one use, one agent, one developer or one cluster is of no use elsewhere.
func TestTokensOfAnotherUse(t *testing.T) {
	s := startOne(t, "a", nil)
	agent, other := newAgent(t, s, "read"), newAgent(t, s, "read")
	code := newCode(t, s, agent, "read").str(t, "code")
	good := object(t, "code", code, "agentId", agent)
	foreign := startOne(t, "b", nil, func(c *service.Config) { c.Cluster.Secret = []byte("the secret of another cluster") })
	refused := func(a answer, what string) {
		t.Helper()
		assert.Equal(t, http.StatusBadRequest, a.status, "%s: %s", what, a.text)
		assert.Equal(t, "INVALID_GRANT", a.body["code"], what)
	}
	for _, bad := range []string{"x", code + "x", code[:len(code)-1], code[:len(code)-2] + "\n" + code[len(code)-2:],
		"a.b.c", "code_", strings.Replace(code, "code_", "rt_", 1)} {
		refused(send(t, s, "POST", "/v1/token", object(t, "code", bad, "agentId", agent)), bad)
		refused(send(t, s, "POST", "/v1/token/refresh", object(t, "refreshToken", bad, "agentId", agent)), bad)
	}
	refused(send(t, s, "POST", "/v1/token", object(t, "code", code, "agentId", other)), "another agent")
	refused(send(t, s, "POST", "/v1/token", good, "Authorization", "Bearer another key"), "another developer")
	refused(send(t, foreign, "POST", "/v1/token", good), "another cluster")
	refused(send(t, s, "POST", "/v1/token", object(t, "code", code, "agentId", agent, "redirectUri", "https://x.example")), "another redirect")
	refused(send(t, s, "POST", "/v1/token", object(t, "code", code, "agentId", agent, "codeVerifier", "x")), "PKCE that was not asked")
	assert.Equal(t, false, send(t, s, "POST", "/v1/tokens/verify", object(t, "token", code)).body["valid"])

	tokens := send(t, s, "POST", "/v1/token", good)
	require.Equal(t, http.StatusCreated, tokens.status, "none of these has used the code up: %s", tokens.text)
	access := tokens.str(t, "grantToken")
	assert.Equal(t, false, send(t, foreign, "POST", "/v1/tokens/verify", object(t, "token", access)).body["valid"])
	body := strings.Split(access, ".")[1]
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + body + "."
	for _, bad := range []string{unsigned, access + "x", access[:len(access)-8], body} {
		assert.Equal(t, false, send(t, s, "POST", "/v1/tokens/verify", object(t, "token", bad)).body["valid"], bad)
	}
}

// A code that was asked with a PKCE challenge needs its verifier.
func TestProofKey(t *testing.T) {
	s := startOne(t, "a", nil)
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	asked := send(t, s, "POST", "/v1/authorize", object(t, "agentId", "agent-1", "userId", "u", "scopes", []string{"billing:read"},
		"codeChallenge", challenge, "codeChallengeMethod", "S256"))
	require.Equal(t, http.StatusCreated, asked.status, asked.text)
	exchange := func(verifier string) int {
		return send(t, s, "POST", "/v1/token", object(t, "code", asked.body["code"], "agentId", "agent-1", "codeVerifier", verifier)).status
	}
	assert.Equal(t, 400, exchange(""))
	assert.Equal(t, 400, exchange(challenge))
	assert.Equal(t, 201, exchange(verifier))
	assert.Equal(t, 400, exchange(verifier), "once")
}

func TestAuthorizeNamesTheField(t *testing.T) {
	s := startOne(t, "a", nil, func(c *service.Config) { c.Policy.Routes = nil; c.Policy.Default[0].Limit.Quota = 1000 })
	good := map[string]any{"agentId": "agent-1", "principalId": "u", "scopes": []string{"billing:read"}}
	for _, c := range []struct {
		field string
		value any
		says  string
	}{
		{"agentId", nil, "agentId is missing"},
		{"principalId", nil, "principalId is missing"},
		{"principalId", strings.Repeat("x", 257), "principalId is longer"},
		{"scopes", nil, "scopes is missing"},
		{"scopes", []string{}, "scopes is missing"},
		{"scopes", "billing:read", "scopes cannot be a string"},
		{"scopes", []string{"crawler:read"}, `scopes has "crawler:read"`},
		{"scopes", []string{"two words"}, `scopes has "two words"`},
		{"redirectUri", "javascript:alert(1)", "redirectUri"},
		{"redirectUri", "https://x.example/#frag", "redirectUri"},
		{"redirectUri", "/only/a/path", "redirectUri"},
		{"state", strings.Repeat("x", 513), "state is longer"},
		{"expiresIn", "soon", "expiresIn"},
		{"expiresIn", "31d", "expiresIn"},
		{"expiresIn", "-1h", "expiresIn"},
		{"codeChallenge", "short", "codeChallenge"},
		{"codeChallengeMethod", "plain", "codeChallengeMethod"},
	} {
		var pairs []any
		for k, v := range good {
			if k != c.field {
				pairs = append(pairs, k, v)
			}
		}
		if c.value != nil {
			pairs = append(pairs, c.field, c.value)
		}
		a := send(t, s, "POST", "/v1/authorize", object(t, pairs...))
		assert.Equal(t, http.StatusBadRequest, a.status, "%s: %s", c.says, a.text)
		assert.Contains(t, a.body["message"], c.says)
	}
	gone := send(t, s, "POST", "/v1/authorize", object(t, "agentId", "agent-9", "principalId", "u", "scopes", []string{"x"}))
	assert.Equal(t, http.StatusNotFound, gone.status)
	assert.Equal(t, "NOT_FOUND", gone.body["code"])

	short := send(t, s, "POST", "/v1/authorize", object(t, "agentId", "agent-1", "userId", "u", "scopes", []string{"billing:read"}, "expiresIn", "2m"))
	until(t, short.str(t, "expiresAt"), 2*time.Minute)
	tokens := send(t, s, "POST", "/v1/token", object(t, "agentId", "agent-1", "code", short.body["code"]))
	until(t, tokens.str(t, "expiresAt"), 2*time.Minute)
}

// A principal at the consent URL ends where the client wants them, with the code.
func TestConsent(t *testing.T) {
	s := startOne(t, "a", nil)
	ask := func(more ...any) (answer, string) {
		a := send(t, s, "POST", "/v1/authorize", object(t, append([]any{"agentId", "agent-1", "userId", "u", "scopes", []string{"billing:read"}}, more...)...))
		require.Equal(t, http.StatusCreated, a.status, a.text)
		u, err := url.Parse(a.str(t, "consentUrl"))
		require.NoError(t, err)
		return a, u.RequestURI()
	}
	asked, at := ask("redirectUri", "https://app.example.org/done?a=b", "state", "s&1")
	sent := send(t, s, "GET", at, "")
	require.Equal(t, http.StatusSeeOther, sent.status)
	to, err := url.Parse(sent.header.Get("Location"))
	require.NoError(t, err)
	assert.Equal(t, "app.example.org", to.Host)
	assert.Equal(t, url.Values{"a": {"b"}, "state": {"s&1"}, "code": {asked.str(t, "code")}}, to.Query())

	asked, at = ask()
	page := send(t, s, "GET", at, "")
	assert.Equal(t, http.StatusOK, page.status)
	assert.Contains(t, page.text, asked.str(t, "code"))
	assert.Contains(t, page.text, "billing:read")
	assert.Equal(t, "no-store", page.header.Get("Cache-Control"))
}
