package service_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

const secret = "the secret of a test cluster"

// startOne starts a node on loopback.
func startOne(t *testing.T, name string, join ...string) *service.Server {
	t.Helper()
	s, err := service.Start(t.Context(), service.Config{
		HTTP: "127.0.0.1:0", Policy: service.Policy(),
		Cluster: cluster.Config{Name: name, Join: join, Secret: []byte(secret), CallTimeout: time.Second,
			Logger: slog.New(slog.DiscardHandler)},
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// send sends a JSON body, unless the headers say otherwise.
func send(t *testing.T, s *service.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(b)}
	require.NoError(t, json.Unmarshal(b, &a.body), "%s %s: %s", method, path, b)
	return a
}

func ready(t *testing.T, nodes int, servers ...*service.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		holding := 0
		for _, s := range servers {
			st := s.Node().Stats()
			holding += st.Holding
			if !s.Node().Ready() || st.Live != nodes {
				return false
			}
		}
		return holding == cluster.Partitions
	}, 20*time.Second, 10*time.Millisecond)
}

// One grant, each step on another node: what one issued another redeems, once.
func TestGrantOverTwoNodes(t *testing.T) {
	a := startOne(t, "a")
	b := startOne(t, "b", a.Node().Addr())
	ready(t, 2, a, b)

	code := send(t, a, "POST", "/v1/authorize", "", "Authorization", "Bearer my-api-key")
	require.Equal(t, http.StatusOK, code.status, code.text)
	exchange, err := json.Marshal(map[string]any{"code": code.body["code"]})
	require.NoError(t, err)
	tokens := send(t, b, "POST", "/v1/token", string(exchange))
	require.Equal(t, http.StatusOK, tokens.status, tokens.text)
	assert.Equal(t, "Bearer", tokens.body["tokenType"])
	assert.Equal(t, "no-store", tokens.header.Get("Cache-Control"))
	for _, s := range []*service.Server{a, b} {
		again := send(t, s, "POST", "/v1/token", string(exchange))
		assert.Equal(t, http.StatusBadRequest, again.status)
		assert.Equal(t, "INVALID_GRANT", again.body["code"])
		assert.Contains(t, again.body["message"], "used already")
	}

	refreshed := send(t, a, "POST", "/v1/token/refresh",
		"refreshToken="+tokens.body["refreshToken"].(string), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusOK, refreshed.status, refreshed.text)

	access := refreshed.body["accessToken"].(string)
	verified := send(t, b, "POST", "/v1/tokens/verify", `{"token":"`+access+`"}`)
	assert.Equal(t, true, verified.body["valid"], verified.text)
	assert.Regexp(t, `^key-[0-9a-f]{16}$`, verified.body["subject"], "the key itself is in no token")

	// Who verifies offline needs the published keys and no more.
	var set jose.JSONWebKeySet
	keys := send(t, a, "GET", "/.well-known/jwks.json", "")
	require.NoError(t, json.Unmarshal([]byte(keys.text), &set))
	assert.Equal(t, keys.text, send(t, b, "GET", "/.well-known/jwks.json", "").text, "all nodes have one key set")
	assert.NotContains(t, keys.text, `"d"`, "no private key")
	parsed, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.EdDSA})
	require.NoError(t, err)
	found := set.Key(parsed.Headers[0].KeyID)
	require.Len(t, found, 1, "the token names its key")
	var claims jwt.Claims
	require.NoError(t, parsed.Claims(found[0].Key, &claims))
	assert.Equal(t, verified.body["subject"], claims.Subject)
}

// A token of one use is not one of another, and nothing else passes either.
func TestTokensOfAnotherUse(t *testing.T) {
	s := startOne(t, "a")
	ready(t, 1, s)
	code := send(t, s, "POST", "/v1/authorize", "").body["code"].(string)
	for _, bad := range []string{"x", code + "x", code[:len(code)-1], "", "a.b.c", `eyJhbGciOiJub25lIn0.e30.`} {
		for path, name := range map[string]string{"/v1/token": "code", "/v1/token/refresh": "refreshToken"} {
			a := send(t, s, "POST", path, `{"`+name+`":"`+bad+`"}`)
			assert.Equal(t, http.StatusBadRequest, a.status, "%s %q", path, bad)
			assert.NotEmpty(t, a.body["requestId"])
		}
	}
	assert.Equal(t, "INVALID_GRANT", send(t, s, "POST", "/v1/token/refresh", `{"refreshToken":"`+code+`"}`).body["code"])
	assert.Equal(t, false, send(t, s, "POST", "/v1/tokens/verify", `{"token":"`+code+`"}`).body["valid"])

	other, err := service.NewKeys([]byte("the secret of another cluster"))
	require.NoError(t, err)
	foreign, err := service.Start(t.Context(), service.Config{HTTP: "127.0.0.1:0", Policy: service.Policy(), Keys: other,
		Cluster: cluster.Config{Logger: slog.New(slog.DiscardHandler)}})
	require.NoError(t, err)
	t.Cleanup(foreign.Close)
	assert.Equal(t, "INVALID_GRANT", send(t, foreign, "POST", "/v1/token", `{"code":"`+code+`"}`).body["code"])
}

func TestAnswers(t *testing.T) {
	s := startOne(t, "a")
	ready(t, 1, s)
	a := send(t, s, "GET", "/v1/agents", "")
	assert.Equal(t, http.StatusOK, a.status)
	assert.Regexp(t, `^{"agents":\[{.*}\],"page":1,"pageSize":20,"total":5}\n$`, a.text)
	a = send(t, s, "GET", "/v1/agents?page=3&pageSize=2", "")
	assert.Len(t, a.body["agents"], 1)
	assert.Equal(t, "[]", mustJSON(t, send(t, s, "GET", "/v1/agents?page=1000000&pageSize=100", "").body["agents"]))

	a = send(t, s, "GET", "/health", "")
	assert.JSONEq(t, `{"status":"ok","node":"a","nodes":1}`, a.text)
	assert.Empty(t, a.header.Get("X-RateLimit-Limit"), "health is exempt")

	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/v1/agents?page=0", "", 400, "INVALID_REQUEST"},
		{"GET", "/v1/agents?pageSize=101", "", 400, "INVALID_REQUEST"},
		{"POST", "/v1/token", "", 400, "INVALID_REQUEST"},
		{"POST", "/v1/token", "[]", 400, "INVALID_REQUEST"},
		{"POST", "/v1/token", `{"code":1}`, 400, "INVALID_REQUEST"},
		{"POST", "/v1/token", `{"code":"` + strings.Repeat("x", 1<<17) + `"}`, 400, "INVALID_REQUEST"},
		{"POST", "/v1/tokens/verify", "{}", 400, "INVALID_REQUEST"},
		{"GET", "/nothing", "", 404, "NOT_FOUND"},
		{"DELETE", "/v1/agents", "", 405, "METHOD_NOT_ALLOWED"},
	} {
		a := send(t, s, c.method, c.path, c.body, "X-Request-Id", "id-1")
		assert.Equal(t, c.status, a.status, "%s %s: %s", c.method, c.path, a.text)
		assert.Equal(t, c.code, a.body["code"])
		assert.Equal(t, "id-1", a.body["requestId"])
		assert.NotEmpty(t, a.body["message"])
		assert.Equal(t, "application/json", a.header.Get("Content-Type"))
		assert.NotEmpty(t, a.header.Get("X-RateLimit-Limit"), "errors of limited routes are limited too")
		assert.Equal(t, "id-1", a.header.Get("X-Request-Id"))
	}
	assert.Equal(t, "GET, HEAD", send(t, s, "DELETE", "/v1/agents", "").header.Get("Allow"))
	insane := send(t, s, "GET", "/nothing", "", "X-Request-Id", "two words")
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, insane.body["requestId"])
}

// A node that has left serves nobody, and the other one has its counts.
func TestLeave(t *testing.T) {
	a := startOne(t, "a")
	b := startOne(t, "b", a.Node().Addr())
	ready(t, 2, a, b)
	require.Equal(t, "99", send(t, b, "GET", "/v1/agents", "").header.Get("X-RateLimit-Remaining"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, b.Leave(ctx))
	_, err := http.Get("http://" + b.HTTPAddr() + "/health")
	assert.Error(t, err)
	ready(t, 1, a)
	assert.Equal(t, float64(1), send(t, a, "GET", "/health", "").body["nodes"])
	left := send(t, a, "GET", "/v1/agents", "").header.Get("X-RateLimit-Remaining")
	assert.Contains(t, []string{"98", "99"}, left, "99 only if the window turned meanwhile")
}

func TestStartErrors(t *testing.T) {
	quiet := cluster.Config{Logger: slog.New(slog.DiscardHandler)}
	_, err := service.Start(t.Context(), service.Config{HTTP: "127.0.0.1:0", Cluster: quiet})
	assert.ErrorContains(t, err, "invalid policy", "an empty policy protects nothing")
	_, err = service.Start(t.Context(), service.Config{HTTP: "nowhere", Policy: service.Policy(), Cluster: quiet})
	assert.ErrorContains(t, err, `HTTP "nowhere"`)
	quiet.Replicas = 7
	_, err = service.Start(t.Context(), service.Config{HTTP: "127.0.0.1:0", Policy: service.Policy(), Cluster: quiet})
	assert.ErrorIs(t, err, cluster.ErrConfig)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
