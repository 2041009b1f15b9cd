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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

const secret = "the secret of a test cluster"

// startOne starts a node on loopback; by changes the configuration.
func startOne(t *testing.T, name string, join []string, by ...func(*service.Config)) *service.Server {
	t.Helper()
	c := service.Config{
		HTTP: "127.0.0.1:0", Policy: service.Policy(),
		Cluster: cluster.Config{Name: name, Join: join, Secret: []byte(secret), CallTimeout: time.Second,
			Logger: slog.New(slog.DiscardHandler)},
	}
	for _, change := range by {
		change(&c)
	}
	s, err := service.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// startTwo starts two nodes that hold together.
func startTwo(t *testing.T, by ...func(*service.Config)) (a, b *service.Server) {
	t.Helper()
	a = startOne(t, "a", nil, by...)
	b = startOne(t, "b", []string{a.Node().Addr()}, by...)
	whole(t, 2, a, b)
	return a, b
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// send sends a JSON body, as one developer unless the headers say otherwise.
func send(t *testing.T, s *service.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer my-api-key")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(b)}
	if resp.Header.Get("Content-Type") == "application/json" {
		require.NoError(t, json.Unmarshal(b, &a.body), "%s %s: %s", method, path, b)
	}
	return a
}

// str is a field that is a string.
func (a answer) str(t *testing.T, name string) string {
	t.Helper()
	s, ok := a.body[name].(string)
	require.True(t, ok, "%s of %s", name, a.text)
	return s
}

// object writes a JSON object of names and values.
func object(t *testing.T, pairs ...any) string {
	t.Helper()
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

// whole waits until all nodes see each other, and all budgets have a holder.
func whole(t *testing.T, nodes int, servers ...*service.Server) {
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

func TestAnswers(t *testing.T) {
	s := startOne(t, "a", nil)
	a := send(t, s, "GET", "/health", "")
	assert.JSONEq(t, `{"status":"ok","node":"a","nodes":1}`, a.text)
	assert.Empty(t, a.header.Get("X-RateLimit-Limit"), "health is exempt")

	for _, c := range []struct {
		method, path, body string
		status             int
		code, says         string
	}{
		{"GET", "/v1/agents?page=0", "", 400, "INVALID_REQUEST", "page"},
		{"GET", "/v1/agents?pageSize=101", "", 400, "INVALID_REQUEST", "pageSize"},
		{"POST", "/v1/token", "", 400, "INVALID_REQUEST", "the body"},
		{"POST", "/v1/token", "[]", 400, "INVALID_REQUEST", "the body"},
		{"POST", "/v1/token", "{}", 400, "INVALID_REQUEST", "code is missing"},
		{"POST", "/v1/token", `{"code":"x"}`, 400, "INVALID_REQUEST", "agentId is missing"},
		{"POST", "/v1/token", `{"code":"x","agentId":"y"} {}`, 400, "INVALID_REQUEST", "the body"},
		{"POST", "/v1/token", `{"code":1}`, 400, "INVALID_REQUEST", "code cannot be a number"},
		{"POST", "/v1/token", `{"code":"` + strings.Repeat("x", 1<<17) + `"}`, 400, "INVALID_REQUEST", "the body"},
		{"POST", "/v1/token/refresh", "{}", 400, "INVALID_REQUEST", "refreshToken is missing"},
		{"POST", "/v1/tokens/verify", "{}", 400, "INVALID_REQUEST", "token is missing"},
		{"POST", "/v1/tokens/revoke", "{}", 400, "INVALID_REQUEST", "jti is missing"},
		{"POST", "/v1/tokens/revoke", `{"jti":"` + strings.Repeat("x", 129) + `"}`, 400, "INVALID_REQUEST", "jti is longer"},
		{"POST", "/v1/tokens/revoke", `{"token":"x"}`, 400, "INVALID_REQUEST", "token is not one of this service"},
		{"GET", "/consent?request=x", "", 400, "INVALID_REQUEST", "request is unknown"},
		{"GET", "/nothing", "", 404, "NOT_FOUND", "/nothing"},
		{"DELETE", "/v1/agents", "", 405, "METHOD_NOT_ALLOWED", "/v1/agents"},
	} {
		a := send(t, s, c.method, c.path, c.body, "X-Request-Id", "id-1")
		assert.Equal(t, c.status, a.status, "%s %s: %s", c.method, c.path, a.text)
		assert.Equal(t, c.code, a.body["code"])
		assert.Contains(t, a.body["message"], c.says)
		assert.Equal(t, "id-1", a.body["requestId"])
		assert.Equal(t, "application/json", a.header.Get("Content-Type"))
		assert.NotEmpty(t, a.header.Get("X-RateLimit-Limit"), "errors of limited routes are limited too")
		assert.Equal(t, "id-1", a.header.Get("X-Request-Id"))
	}
	assert.Equal(t, "GET, HEAD, POST", send(t, s, "DELETE", "/v1/agents", "").header.Get("Allow"))
	insane := send(t, s, "GET", "/nothing", "", "X-Request-Id", "two words")
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, insane.body["requestId"])
}

// A node that has left serves nobody, and the other one has its counts.
func TestLeave(t *testing.T) {
	a, b := startTwo(t)
	require.Equal(t, "99", send(t, b, "GET", "/v1/agents", "").header.Get("X-RateLimit-Remaining"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, b.Leave(ctx))
	_, err := http.Get("http://" + b.HTTPAddr() + "/health")
	assert.Error(t, err)
	whole(t, 1, a)
	assert.Equal(t, float64(1), send(t, a, "GET", "/health", "").body["nodes"])
	left := send(t, a, "GET", "/v1/agents", "").header.Get("X-RateLimit-Remaining")
	assert.Contains(t, []string{"98", "99"}, left, "99 only if the window turned meanwhile")
}

// What cannot start leaves nobody behind: the others see no node that came and vanished.
func TestStartErrors(t *testing.T) {
	a := startOne(t, "a", nil)
	config := func(by func(*service.Config)) service.Config {
		c := service.Config{HTTP: "127.0.0.1:0", Policy: service.Policy(), Cluster: cluster.Config{
			Join: []string{a.Node().Addr()}, Secret: []byte(secret), Logger: slog.New(slog.DiscardHandler)}}
		by(&c)
		return c
	}
	_, err := service.Start(t.Context(), config(func(c *service.Config) { c.Policy.Default, c.Policy.Routes = nil, nil }))
	assert.ErrorContains(t, err, "invalid policy", "an empty policy protects nothing")
	_, err = service.Start(t.Context(), config(func(c *service.Config) { c.HTTP = "nowhere" }))
	assert.ErrorContains(t, err, `HTTP "nowhere"`)
	_, err = service.Start(t.Context(), config(func(c *service.Config) { c.HTTP = a.HTTPAddr() }))
	assert.ErrorContains(t, err, "address already in use")
	_, err = service.Start(t.Context(), config(func(c *service.Config) { c.Cluster.Replicas = 7 }))
	assert.ErrorIs(t, err, cluster.ErrConfig)
	whole(t, 1, a)
	assert.Equal(t, 1, a.Node().Stats().Known, "all of them said goodbye")
}

// A policy that is swapped in exposes the headers to scripts as the first one did.
func TestSwapKeepsExposing(t *testing.T) {
	s := startOne(t, "a", nil, func(c *service.Config) { c.Origins = []string{"*"} })
	require.NoError(t, s.Swap(service.Policy()))
	a := send(t, s, "GET", "/v1/agents", "", "Origin", "https://app.example.org")
	assert.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "X-RateLimit-Remaining")
}
