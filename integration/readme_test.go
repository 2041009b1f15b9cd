package integration

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
)

func guard(ctx context.Context, bind string, join []string, secret []byte, mux http.Handler) (http.Handler, *weir.Node, error) {
	node, err := weir.Start(ctx, weir.Config{Bind: bind, Join: join, Secret: secret})
	if err != nil {
		return nil, nil, err
	}
	m, err := weir.New(node, weir.Policy{
		Default: []weir.Rule{{Name: "default", Limit: weir.Per(100, time.Minute)}},
		Routes: []weir.Route{
			weir.On("POST /login", weir.Rule{Name: "login", Limit: weir.Per(5, time.Minute)}),
			weir.Exempt("GET /health"),
		},
	})
	if err != nil {
		node.Close()
		return nil, nil, err
	}
	return m.Wrap(mux), node, nil // at the end: first the HTTP server's Shutdown, then node.Leave
}

// The code of the README and of the clients' page is this file's and the client's, letter by
// letter, and so compiles.
func TestReadmeCodeIsCompiled(t *testing.T) {
	readme := text(t, "README.md") + text(t, "docs/clients.md")
	here, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	there, err := os.ReadFile(root + "/client/readme_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme, -1)
	require.Len(t, blocks, 2)
	for _, b := range blocks {
		assert.Contains(t, string(here)+string(there), b[1])
	}
}

// And it does what the README says.
func TestReadmeCodeWorks(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	guarded, node, err := guard(t.Context(), "127.0.0.1:0", nil, []byte(secret), mux)
	require.NoError(t, err)
	defer node.Close()
	for route, limit := range map[string]string{"GET /": "100", "POST /login": "5", "GET /health": ""} {
		method, path, _ := strings.Cut(route, " ")
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		assert.Equal(t, http.StatusOK, w.Code, route)
		assert.Equal(t, limit, w.Header().Get("X-RateLimit-Limit"), route)
	}
}

// Files and packages that the README and the developers' page name exist.
func TestReadmeNamesWhatExists(t *testing.T) {
	readme := text(t, "README.md") + text(t, "docs/developing.md")
	named := regexp.MustCompile("`((?:limiter|ring|transport|cluster|middleware|client|integration|examples|\\.ci)(?:/[a-z./]+)?)`").
		FindAllStringSubmatch(readme, -1)
	require.Greater(t, len(named), 10)
	for _, n := range named {
		_, err := os.Stat(root + "/" + n[1])
		assert.NoError(t, err)
	}
}
