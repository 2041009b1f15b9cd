package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A grant's whole life, each step on another node, while every node is restarted: what
// was used, revoked or deleted stays so, and what was not is still good.
func TestFlowOverThreeProcesses(t *testing.T) {
	t.Parallel()
	w := newTown(t, "-drain", "0s", "-signing-key", rsaKeyFile(t), "-issuer", "https://auth.example.org")
	agent := w.call(0, "POST", "/v1/agents", 201, "name", "Email", "scopes", []string{"email:send"})
	id := agent["agentId"]
	asked := w.call(1, "POST", "/v1/authorize", 201, "agentId", id, "principalId", "user-1", "scopes", []string{"email:send"})
	unused := w.call(1, "POST", "/v1/authorize", 201, "agentId", id, "userId", "user-2", "scopes", []string{"email:send"})
	tokens := w.call(2, "POST", "/v1/token", 201, "agentId", id, "code", asked["code"])

	for i := range w.nodes {
		w.restart(i)
	}

	assert.Equal(t, agent, w.call(2, "GET", fmt.Sprint("/v1/agents/", id), 200))
	for i := range w.nodes {
		again := w.call(i, "POST", "/v1/token", 400, "agentId", id, "code", asked["code"])
		assert.Contains(t, again["message"], "used already", "on node%d", i+1)
	}
	claims := verifyOffline(t, w.call(0, "GET", "/.well-known/jwks.json", 200), tokens["grantToken"].(string))
	assert.Equal(t, "user-1", claims["sub"])
	assert.Equal(t, "https://auth.example.org", claims["iss"])
	assert.Equal(t, agent["did"], claims["agt"])
	assert.Equal(t, tokens["grantId"], claims["grnt"])

	refreshed := w.call(1, "POST", "/v1/token/refresh", 201, "agentId", id, "refreshToken", tokens["refreshToken"])
	assert.Equal(t, tokens["grantId"], refreshed["grantId"])
	w.call(2, "POST", "/v1/token/refresh", 400, "agentId", id, "refreshToken", tokens["refreshToken"])
	seen := w.call(0, "POST", "/v1/tokens/verify", 200, "token", refreshed["grantToken"])
	assert.Equal(t, true, seen["valid"])
	assert.Equal(t, "user-1", seen["principal"])
	assert.Equal(t, agent["did"], seen["agent"])

	jti := verifyOffline(t, w.call(2, "GET", "/.well-known/jwks.json", 200), refreshed["grantToken"].(string))["jti"]
	w.call(2, "POST", "/v1/tokens/revoke", 204, "jti", jti)
	w.restart(2)
	for i := range w.nodes {
		seen := w.call(i, "POST", "/v1/tokens/verify", 200, "token", refreshed["grantToken"])
		assert.Equal(t, map[string]any{"valid": false}, seen, "on node%d", i+1)
	}
	w.call(0, "POST", "/v1/token", 201, "agentId", id, "code", unused["code"])
	w.call(1, "DELETE", fmt.Sprint("/v1/agents/", id), 204)
	w.call(0, "GET", fmt.Sprint("/v1/agents/", id), 404)
}

// rsaKeyFile is a file for -signing-key.
func rsaKeyFile(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return file
}

// verifyOffline verifies an RS256 token by the published keys, as somebody does who has
// nothing of this program, and returns the claims.
func verifyOffline(t *testing.T, jwks map[string]any, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	decoded := func(text any) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text.(string))
		require.NoError(t, err)
		return b
	}
	keys := jwks["keys"].([]any)
	require.Len(t, keys, 1)
	key := keys[0].(map[string]any)
	var header map[string]string
	require.NoError(t, json.Unmarshal(decoded(parts[0]), &header))
	require.Equal(t, "RS256", header["alg"])
	require.Equal(t, key["kid"], header["kid"])
	public := rsa.PublicKey{N: new(big.Int).SetBytes(decoded(key["n"])), E: int(new(big.Int).SetBytes(decoded(key["e"])).Int64())}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	require.NoError(t, rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], decoded(parts[2])))
	require.NoError(t, json.Unmarshal(decoded(parts[1]), &claims))
	return claims
}
