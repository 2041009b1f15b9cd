package integration

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/ring"
)

// The changelog's newest version is this one, and says what decides with whom it can be in one
// cluster: who changes the wire or the ring scheme must say so there.
func TestReadmeChangelogIsOfThisVersion(t *testing.T) {
	text, err := os.ReadFile(root + "/CHANGELOG.md")
	require.NoError(t, err)
	sections := regexp.MustCompile(`(?m)^## (\S+).*\n\n(.*\n)`).FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(sections), 2)
	require.Equal(t, "Unreleased", sections[0][1])
	require.Equal(t, weir.Version, sections[1][1])
	require.Equal(t, "Wire "+cluster.Wire+", ring scheme `"+ring.Scheme+"`.\n", sections[1][2])
	page, err := os.ReadFile(root + "/docs/upgrading.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "| weir's, `"+weir.Version+"` |")
	require.Contains(t, string(page), "| the wire's, `"+cluster.Wire+"` |")
}
