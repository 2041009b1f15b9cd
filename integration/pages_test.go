package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/limiter"
)

// shown are the pages whose code stands in this directory, letter by letter.
var shown = []string{"docs/choosing-limits.md", "docs/testing.md", "docs/tuning.md", "docs/faq.md"}

var rules = []weir.Rule{
	// A burst is limited by the second, what a client may use by the hour.
	{Name: "second", Limit: weir.Bucket(10, time.Second, 20)},
	{Name: "hour", Limit: weir.Per(5_000, time.Hour)},
	// One account, however many addresses it comes from: and all of a plan's quota.
	{Name: "user", Key: weir.Subject(), Limit: weir.Daily(1_000, ""), Plan: weir.Claim("plan"),
		Plans: map[string]weir.Limit{"pro": weir.Daily(100_000, "")}},
	// What the machines behind can bear, whoever asks.
	{Name: "all", Key: weir.Shared(), Limit: weir.Bucket(2_000, time.Second, 500)},
}

// The rules that the page about limits shows make a policy.
func TestShownRulesAreAPolicy(t *testing.T) {
	_, err := weir.New(limiter.NewLocal(limiter.Config{}), weir.Policy{Default: rules,
		Claims: func(context.Context, string) (string, bool) { return "", false }})
	assert.NoError(t, err)
}

// Go code in these pages is that of tests, and so compiles.
func TestPagesShowCodeThatCompiles(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"/integration/*_test.go", "/cluster/clustertest/*_test.go"} {
		paths, err := filepath.Glob(root + pattern)
		require.NoError(t, err)
		for _, path := range paths {
			source, err := os.ReadFile(path)
			require.NoError(t, err)
			code.Write(source)
		}
	}
	blocks := 0
	for _, name := range shown {
		for _, b := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text(t, name), -1) {
			blocks++
			assert.Contains(t, code.String(), b[1], name)
		}
	}
	assert.Positive(t, blocks)
}

// What these pages name of weir's packages is there.
func TestShownNamesExist(t *testing.T) {
	names, aliases := map[string]bool{}, map[string]string{}
	for pkg, dir := range map[string]string{
		"weir": ".", "limiter": "limiter", "cluster": "cluster", "middleware": "middleware", "simnet": "cluster/clustertest/simnet",
		"clustertest": "cluster/clustertest", "middlewaretest": "middleware/middlewaretest", "nodes": "middleware/middlewaretest/nodes",
	} {
		exports(t, pkg, filepath.Join(root, dir), names, aliases)
	}
	// How pages write what belongs to a type: without its package.
	for of, pkg := range map[string]string{
		"Limit": "limiter", "Decision": "limiter", "Rule": "middleware", "Policy": "middleware", "Address": "middleware",
		"Config": "cluster", "Node": "cluster", "Stats": "cluster", "Cluster": "clustertest", "Options": "clustertest",
	} {
		aliases[of], names[of] = pkg+"."+of, true
	}
	named := 0
	for _, page := range shown {
		for _, n := range regexp.MustCompile("`(?:(weir|limiter|cluster|middleware|simnet|clustertest|middlewaretest|nodes)\\.)?([A-Z]\\w*)(?:\\.([A-Z]\\w*))?[`({]").
			FindAllStringSubmatch(text(t, page), -1) {
			of := strings.TrimPrefix(n[1]+"."+n[2], ".")
			if n[1] == "" && (n[3] == "" || !names[of]) {
				continue // a word of its own
			}
			named++
			there := names[of]
			if n[3] != "" {
				if other, ok := aliases[of]; ok {
					of = other
				}
				there = names[of+"."+n[3]] || of == "cluster.Stats" && names["limiter.Stats."+n[3]] // embedded
			}
			assert.True(t, there, "%s names %s, which is not there", page, n[0])
		}
	}
	assert.Greater(t, named, 10)
}
