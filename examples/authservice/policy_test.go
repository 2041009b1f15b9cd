package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// A changed file is in force on all nodes without anybody's doing; a broken one is not, and
// the log says where it is wrong.
func TestPolicyFollowsTheFile(t *testing.T) {
	t.Parallel()
	p := launch(t, quotaOf(1000), 2)
	assert.Equal(t, []string{"1000", "1000"}, p.limits("/v1/agents"), "from the first request on")
	assert.Equal(t, []string{"", ""}, p.limits("/health"), "exempt, though the file does not say so")

	p.replace(quotaOf(2000))
	p.awaitLimit("2000")
	assert.Contains(t, p.awaitLog("policy reloaded", 1), p.file)
	assert.Equal(t, []string{"", ""}, p.limits("/health"), "still exempt")

	for i, bad := range []struct{ text, says string }{
		{quotaOf(-1), ":3: default[0].quota: -1 is not within"},
		{quotaOf(3000) + "routes:\n  - {pattern: POST /v1/tokne, exempt: true}\n",
			`:5: routes[0].pattern: \"POST /v1/tokne\" is unknown`},
	} {
		p.replace(bad.text)
		assert.Contains(t, p.awaitLog("policy not reloaded", i+1), p.file+bad.says)
		assert.Equal(t, []string{"2000", "2000"}, p.limits("/v1/agents"), "the old policy is in force")
	}

	p.replace(quotaOf(4000))
	p.awaitLimit("4000")
	p.awaitLog("policy reloaded", 2)
	assert.Len(t, p.logged("reloaded"), 4, "one line for each change")
}

// SIGHUP reads the file again even where nothing shows that it has changed.
func TestPolicyReloadsOnSIGHUP(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	t.Parallel()
	p := launch(t, quotaOf(1000), 2)
	p.writeUnseen(quotaOf(2000))
	p.hangUp()
	p.awaitLimit("2000")
	p.awaitLog("policy reloaded", 1)

	p.hangUp()
	p.awaitLog("policy reloaded", 2)

	p.writeUnseen(quotaOf(`"20"`))
	p.hangUp()
	assert.Contains(t, p.awaitLog("policy not reloaded", 1), p.file+":3: default[0].quota: ")
	assert.Equal(t, []string{"2000", "2000"}, p.limits("/v1/agents"))

	assert.Equal(t, 0, p.end(), "it leaves as without a file")
}

// -trusted-proxies counts for the file's policy too, and after each reload.
func TestPolicyKeepsTrustedProxies(t *testing.T) {
	t.Parallel()
	p := launch(t, quotaOf(1000), 1, "-trusted-proxies", "127.0.0.0/8")
	left := func(client string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.urls[0]+"/v1/agents", nil)
		require.NoError(t, err)
		r.Header.Set("X-Forwarded-For", client)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.Header.Get("X-RateLimit-Remaining")
	}
	assert.Equal(t, "999", left("192.0.2.1"))
	assert.Equal(t, "999", left("192.0.2.2"), "another client")
	p.replace(quotaOf(2000))
	p.awaitLimit("2000")
	assert.Equal(t, "1999", left("192.0.2.3"))
	assert.Equal(t, "1998", left("192.0.2.1"), "what it spent stays spent")

	p.replace(quotaOf(3000) + "address: {hops: 1}\n")
	assert.Contains(t, p.awaitLog("policy not reloaded", 1), "address.hops: 1 excludes flag -trusted-proxies")
	assert.Equal(t, []string{"2000"}, p.limits("/v1/agents"))
}

// What is wrong from the start ends the program with 2 and names file, line, field and value.
func TestBadPolicyFiles(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	bad := written(t, quotaOf(-2))
	unknown := written(t, quotaOf(1)+"routes:\n  - {pattern: GET /v1/agent, exempt: true}\n")
	hops := written(t, quotaOf(1)+"address: {hops: 2}\n")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"-policy", ""}, []string{"-policy", `""`}},
		{[]string{"-policy", missing}, []string{"-policy", missing, "no such file"}},
		{[]string{"-policy", t.TempDir()}, []string{"-policy", "is a directory"}},
		{[]string{"-policy", bad}, []string{"-policy", bad + ":3: default[0].quota: -2 "}},
		{[]string{"-policy", unknown}, []string{unknown + `:5: routes[0].pattern: "GET /v1/agent" is unknown`}},
		{[]string{"-policy", hops, "-trusted-proxies", "10.0.0.0/8"}, []string{hops + ":4: address.hops: 2 ", "-trusted-proxies"}},
		{[]string{"-policy", bad, "-try"}, []string{"-policy", "-try"}},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"-http", "127.0.0.1:0", "-bind", "127.0.0.1:0"}, c.args...)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // whatever starts by mistake ends at once
		assert.Equal(t, exitUsage, run(ctx, args, "", &stdout, &stderr), "%q: %s", c.args, &stderr)
		assert.Empty(t, stdout.String(), "no node has started")
		for _, s := range c.says {
			assert.Contains(t, stderr.String(), s, "%q", c.args)
		}
	}
}

// The file that ships is a policy of this service, and says what the built-in one says.
func TestReferenceFileIsTheDefault(t *testing.T) {
	byDefault, stop, err := openLimits(options{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer stop()
	file := written(t, string(policyfile.Reference()))
	fromFile, stop, err := openLimits(options{policy: file}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer stop()
	got := fromFile.policy()
	got.Mux = nil // it only checks
	// As text, for which no slice and an empty one are the same.
	assert.Equal(t, fmt.Sprintf("%+v", byDefault.policy()), fmt.Sprintf("%+v", got))
}

// What the flags add, and what of the file they leave alone.
func TestComplete(t *testing.T) {
	network := netip.MustParsePrefix
	given := middleware.ReferencePolicy()
	given.Address.Trusted = []netip.Prefix{network("10.0.0.0/8")}
	p := given
	require.NoError(t, options{trusted: []netip.Prefix{network("fd00::/8")}}.complete(&p))
	assert.Equal(t, []netip.Prefix{network("10.0.0.0/8"), network("fd00::/8")}, p.Address.Trusted)
	assert.Len(t, given.Address.Trusted, 1, "the caller's is unchanged")
	assert.Equal(t, []string{"GET /health"}, p.Routes[len(p.Routes)-2].Patterns)
	assert.Equal(t, []string{"GET /health/live"}, p.Routes[len(p.Routes)-1].Patterns)

	for pattern, own := range map[string]bool{
		"GET /health": true, "/health": true, "POST  example.org/health": true,
		"GET /healthy": false, "GET /v1/health": false, "GET /{page}": false,
	} {
		p := middleware.ReferencePolicy()
		p.Routes = append(p.Routes, middleware.Exempt(pattern))
		before := len(p.Routes) + 1 // that of the liveness probe, in any case
		require.NoError(t, options{}.complete(&p), pattern)
		if own {
			assert.Len(t, p.Routes, before, "%s: the file has made its choice", pattern)
		} else {
			assert.Len(t, p.Routes, before+1, pattern)
		}
	}
}
