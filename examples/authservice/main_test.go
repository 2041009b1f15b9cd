package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func TestParse(t *testing.T) {
	o, err := parse(nil, "", io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 3, o.nodes)
	assert.Equal(t, "127.0.0.1:8080", o.http)
	assert.Equal(t, "127.0.0.1:7946", o.bind)
	assert.Equal(t, limiter.SplitFull, o.split)
	assert.Equal(t, []string{"node1", "node2", "node3"}, o.voters)
	assert.GreaterOrEqual(t, len(o.secret), 16, "the nodes of one process share a secret of their own")
	assert.True(t, o.alone())

	o, err = parse([]string{"-nodes", "1", "-name", "a", "-join", "h1:7946, h2:7946", "-split", "quorum", "-voters", "a, b,c",
		"-expected-nodes", "5", "-trusted-proxies", "10.0.0.0/8,fd00::/8"}, "", io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"h1:7946", "h2:7946"}, o.join)
	assert.Equal(t, limiter.SplitQuorum, o.split)
	assert.Equal(t, []string{"a", "b", "c"}, o.voters)
	assert.Equal(t, 5, o.expected)
	assert.Len(t, o.trusted, 2)
	assert.Empty(t, o.secret, "one node has the secret that it is given, and here none")
	assert.True(t, o.alone())
	assert.Equal(t, drainDefault, o.drain)
	assert.Zero(t, o.headers, "the policy's default")

	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("a secret of the cluster\n"), 0o600))
	o, err = parse([]string{"-secret-file", file, "-signing-key", rsaKeyFile(t), "-issuer", "https://auth.example.org", "-headers", "x-ratelimit-seconds,ietf",
		"-cors-origin", "https://a.example, http://localhost:3000", "-call-timeout", "250ms", "-drain", "0s"}, "", io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "a secret of the cluster", string(o.secret), "without the end of the line")
	assert.Len(t, o.secrets, 1)
	assert.NotNil(t, o.signing)
	assert.True(t, o.alone(), "three nodes")
	assert.Equal(t, middleware.XRateLimitSeconds|middleware.IETF, o.headers)
	assert.Equal(t, []string{"https://a.example", "http://localhost:3000"}, o.origins)
	assert.Equal(t, 250*time.Millisecond, o.timeout)
	assert.Zero(t, o.drain)

	o, err = parse([]string{"-nodes", "1"}, "a secret of the cluster", io.Discard)
	require.NoError(t, err)
	assert.False(t, o.alone(), "others may have the secret")

	o, err = parse([]string{"-try", "-http", "127.0.0.1:9000"}, "a secret of the cluster", io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:9000", o.http, "what is asked for counts")
	assert.Equal(t, "127.0.0.1:0", o.bind, "a demonstration needs no certain port")
	assert.Equal(t, "a secret of the cluster", string(o.secret))
}

func TestFollowing(t *testing.T) {
	assert.Equal(t, "127.0.0.1:8082", following("127.0.0.1:8080", 2))
	assert.Equal(t, ":8080", following(":8080", 0))
	assert.Equal(t, "[::1]:8081", following("[::1]:8080", 1))
	assert.Equal(t, "127.0.0.1:0", following("127.0.0.1:0", 2), "each node gets a port of its own")
}

// Bad flags end the program with 2 and name flag and value.
func TestBadFlags(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	require.NoError(t, os.WriteFile(one, []byte("a secret of the cluster"), 0o600))
	require.NoError(t, os.WriteFile(two, []byte("a secret of the cluster\r\nanother secret of it\n"), 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, c := range []struct {
		args   string
		secret string
		code   int
		says   []string
	}{
		{"-nodes 0", "", 2, []string{"-nodes", `"0"`}},
		{"-nodes x", "", 2, []string{"-nodes", `"x"`}},
		{"-admin :7070", "", 2, []string{"-admin", `":7070"`, "loopback"}},
		{"-admin 127.0.0.1", "", 2, []string{"-admin", "127.0.0.1"}},
		{"-nodes 51", "", 2, []string{"-nodes", `"51"`}},
		{"-nodes 2 -name a", "", 2, []string{"-name", `"a"`, "-nodes 1"}},
		{"-join 127.0.0.1:1", "", 2, []string{"-join", "-nodes 1"}},
		{"-nodes 1 -join ,", "", 2, []string{"-join", `","`}},
		{"-nodes 1 -join nowhere -http 127.0.0.1:0 -bind 127.0.0.1:0", "", 2, []string{"Join", `"nowhere"`}},
		{"-split half", "", 2, []string{"-split", `"half"`}},
		{"-voters ,", "", 2, []string{"-voters", `","`}},
		{"-nodes 1 -split quorum -http 127.0.0.1:0 -bind 127.0.0.1:0", "", 2, []string{"Split quorum", "Voters"}},
		{"-expected-nodes -1", "", 2, []string{"-expected-nodes", `"-1"`}},
		{"-trusted-proxies 10.0.0.1", "", 2, []string{"-trusted-proxies", `"10.0.0.1"`}},
		{"-call-timeout -1s", "", 2, []string{"-call-timeout", `"-1s"`}},
		{"-call-timeout 2h -http 127.0.0.1:0 -bind 127.0.0.1:0", "", 2, []string{"CallTimeout", "2h0m0s"}},
		{"-drain -1s", "", 2, []string{"-drain", `"-1s"`}},
		{"-drain soon", "", 2, []string{"-drain", `"soon"`}},
		{"-headers x-rate", "", 2, []string{"-headers", `"x-rate"`}},
		{"-headers x-ratelimit,x-ratelimit-seconds", "", 2, []string{"-headers", `"x-ratelimit,x-ratelimit-seconds"`, "exclude each other"}},
		{"-headers ietf -policy p.yaml", "", 2, []string{"-headers", `"ietf"`, "-policy"}},
		{"-headers none -try", "", 2, []string{"-headers", `"none"`, "-try"}},
		{"-issuer auth.example.org", "", 2, []string{"-issuer", `"auth.example.org"`}},
		{"-issuer https://auth.example.org/", "", 2, []string{"-issuer", "final slash"}},
		{"-cors-origin app.example.org", "", 2, []string{"-cors-origin", `"app.example.org"`}},
		{"-cors-origin https://app.example.org/", "", 2, []string{"-cors-origin", `"https://app.example.org/"`}},
		{"-signing-key /does/not/exist", "", 2, []string{"-signing-key", `"/does/not/exist"`, "no such file"}},
		{"-signing-key " + empty, "", 2, []string{"-signing-key", empty, "is not PEM"}},
		{"-secret-file /does/not/exist", "", 2, []string{"-secret-file", `"/does/not/exist"`, "no such file"}},
		{"-secret-file " + empty, "", 2, []string{"-secret-file", empty, "is empty"}},
		{"-secret-file " + empty, "sixteen bytes and more", 2, []string{"-secret-file", "WEIR_SECRET"}},
		{"-secret-file " + two, "", 2, []string{"-secret-file", two, "-id-secret-file"}},
		{"-nodes 1 -id-secret-file " + two + " -secret-file " + two, "", 2, []string{"-id-secret-file", "several lines"}},
		{"-nodes 1 -id-secret-file " + empty, "sixteen bytes and more", 2, []string{"-id-secret-file", empty, "is empty"}},
		{"-nodes 1 -id-secret-file " + one, "", 2, []string{"-id-secret-file", "needs a secret"}},
		{"-advertise 10.0.0.1:7946", "", 2, []string{"-advertise", "-nodes 1"}},
		{"-http 8080", "", 2, []string{"-http", `"8080"`}},
		{"-bind 127.0.0.1:65535", "", 2, []string{"-bind", `"127.0.0.1:65535"`}},
		{"-nodes 1 -http 127.0.0.1:0 -bind localhost:http2", "", 2, []string{"-bind", `"localhost:http2"`}},
		{"-nodes 1 -http 127.0.0.1:0 -bind 0.0.0.0:0", "", 2, []string{"Bind", `"0.0.0.0:0"`, "Secret"}},
		{"-nodes 1 -http 127.0.0.1:0 -bind 127.0.0.1:0", "short", 2, []string{"Secret", "5 bytes"}},
		{"-nodes 1 -bind 127.0.0.1:0 -http " + taken.Addr().String(), "", 1, []string{"HTTP", "address already in use"}},
		{"-nodes 1 -http 127.0.0.1:0 -bind " + taken.Addr().String(), "", 1, []string{"Bind", "address already in use"}},
		{"-unknown", "", 2, []string{"-unknown"}},
		{"serve", "", 2, []string{`"serve"`}},
		{"-h", "", 0, []string{"usage:", "WEIR_SECRET", "-nodes", "-trusted-proxies", "-drain", "-signing-key"}},
	} {
		var stderr bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // whatever starts by mistake ends at once
		assert.Equal(t, c.code, run(ctx, strings.Fields(c.args), c.secret, io.Discard, &stderr), "%s: %s", c.args, &stderr)
		for _, s := range c.says {
			assert.Contains(t, stderr.String(), s, c.args)
		}
	}
}

// Which version it is stands in its log and behind a flag.
func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-version"}, "", &stdout, &stderr))
	require.Equal(t, "authservice, weir "+weir.Version+", wire "+cluster.Wire+"\n", stdout.String())
	require.Empty(t, stderr.String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Zero(t, run(ctx, []string{"-nodes", "1", "-http", "127.0.0.1:0", "-bind", "127.0.0.1:0"}, "", &stdout, &stderr))
	require.Contains(t, stderr.String(), "msg=starting weir="+weir.Version+" wire="+cluster.Wire)
}

// The demonstration admits exactly the limits, and says so.
func TestTry(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nodes on loopback")
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-try"}, "", &stdout, &stderr)
	require.Equal(t, 0, code, "%s%s", &stdout, &stderr)
	for _, row := range []string{
		`POST /v1/authorize +10 per minute +60 +10 +\d+ s`,
		`POST /v1/token +20 per minute +90 +20 +\d+ s`,
		`POST /v1/token/refresh +20 per minute +90 +20 +\d+ s`,
		`GET /v1/agents +100 per minute +240 +100 +\d+ s`,
		`GET /.well-known/jwks.json +none +240 +240`,
	} {
		assert.Regexp(t, row, stdout.String())
	}
}

// A trial whose counts are off by one is not exact.
func TestTrialExact(t *testing.T) {
	good := trial{limit: 10, send: 60, admitted: 10, marked: 60}
	assert.True(t, good.exact())
	for _, change := range []func(*trial){
		func(t *trial) { t.admitted++ }, func(t *trial) { t.admitted-- },
		func(t *trial) { t.marked-- }, func(t *trial) { t.failed++ },
	} {
		bad := good
		change(&bad)
		assert.False(t, bad.exact(), "%+v", bad)
	}
	assert.True(t, (&trial{send: 60, admitted: 60}).exact())
	assert.False(t, (&trial{send: 60, admitted: 59}).exact())
	assert.False(t, (&trial{send: 60, admitted: 60, marked: 1}).exact(), "an exempt route carries no header")
}

// It prints its addresses and what to try, serves, and leaves when it is told to end.
func TestServesUntilToldToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nodes on loopback")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-nodes", "2", "-http", "127.0.0.1:0", "-bind", "127.0.0.1:0", "-drain", "1ms"}, "", w, io.Discard)
		w.Close()
	}()
	var told strings.Builder
	buf := make([]byte, 1024)
	for strings.Count(told.String(), "curl") < 3 {
		n, err := r.Read(buf)
		require.NoError(t, err, "%s", &told)
		told.Write(buf[:n])
	}
	urls := regexp.MustCompile(`node\d +(http://127\.0\.0\.1:\d+) +cluster 127\.0\.0\.1:\d+`).FindAllStringSubmatch(told.String(), -1)
	require.Len(t, urls, 2, "%s", &told)
	for _, u := range urls {
		resp, err := http.Get(u[1] + "/v1/agents")
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}
	cancel()
	go io.Copy(io.Discard, r)
	select {
	case c := <-code:
		assert.Equal(t, 0, c)
	case <-time.After(leaveMax + 5*time.Second):
		require.FailNow(t, "it does not end")
	}
	_, err := http.Get(urls[0][1] + "/v1/agents")
	assert.Error(t, err, "nobody is there any more")
}
