package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// text is that of a file of this repository.
func text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + name)
	require.NoError(t, err)
	return string(text)
}

// pages are all Markdown files, but for those of packages from elsewhere.
func pages(t *testing.T) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			name, err := filepath.Rel(root, path)
			names = append(names, name)
			return err
		}
		return err
	}))
	return names
}

// What pages link to is there: files, and the headings in them.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	require.Greater(t, len(all), 20)
	links := 0
	for _, name := range all {
		for _, l := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(withoutCode(text(t, name)), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(l[1], "#")
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			_, err := os.Stat(root + "/" + to)
			if !assert.NoError(t, err, "%s links to %s", name, l[1]) || anchor == "" {
				continue
			}
			assert.Contains(t, anchors(text(t, to)), anchor, "%s links to %s", name, l[1])
		}
	}
	require.Greater(t, links, 50)
}

// withoutCode is a page without what it shows as code.
func withoutCode(text string) string {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchors are those of a page's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		a := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(h[1]), "")
		all = append(all, strings.ReplaceAll(a, " ", "-"))
	}
	return all
}

// The tests that pages name exist: what the pages say is held by them.
func TestPagesNameTestsThatExist(t *testing.T) {
	there := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, f := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(f[1])] = true
		}
		return err
	}))
	named := 0
	for _, name := range pages(t) {
		for _, n := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w+)`").FindAllStringSubmatch(text(t, name), -1) {
			named++
			assert.True(t, there[n[1]], "%s names %s, which is not there", name, n[1])
		}
	}
	require.Greater(t, named, 60)
}

// The index has all pages.
func TestIndexIsComplete(t *testing.T) {
	index := text(t, "docs/README.md")
	all, err := filepath.Glob(root + "/docs/*.md")
	require.NoError(t, err)
	for _, path := range all {
		if name := filepath.Base(path); name != "README.md" {
			assert.Contains(t, index, "]("+name+")")
		}
	}
}
