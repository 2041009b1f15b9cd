package weir_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What is here and what is behind are the same types: a program may name either.
var (
	_ weir.Limiter    = (*cluster.Node)(nil)
	_ weir.Taker      = (*weir.Local)(nil)
	_ weir.Limit      = limiter.Limit{}
	_ weir.Policy     = middleware.Policy{}
	_ weir.Decision   = limiter.Decision{}
	_ weir.Event      = middleware.Event{}
	_ weir.Middleware = middleware.Middleware{}
)

// A guarded handler in one process; with a Node in the place of the Local in all of them together.
func Example() {
	guard, err := weir.New(weir.NewLocal(weir.LocalConfig{}), weir.Policy{
		Default: []weir.Rule{{Name: "default", Limit: weir.Per(2, 24*time.Hour)}},
		Routes:  []weir.Route{weir.Exempt("GET /health")},
	})
	if err != nil {
		panic(err)
	}
	h := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, path := range []string{"/", "/", "/", "/health"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code)
	}
	// Output:
	// / 200
	// / 200
	// / 429
	// /health 200
}

// A worker that is told how long to wait, and one that waits.
func ExampleWait() {
	l, key, limit := weir.NewLocal(weir.LocalConfig{}), weir.KeyOf("mail", "acme"), weir.Bucket(100, time.Second, 1)
	for range 2 {
		_, err := weir.Wait(context.Background(), l, key, limit, 1)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
}

// The front door has nothing of its own: every function hands its arguments on, every type and
// constant is one of the packages behind.
func TestFrontIsThin(t *testing.T) {
	for _, name := range []string{"weir.go", "policy.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				require.Len(t, d.Body.List, 1, d.Name)
				r, ok := d.Body.List[0].(*ast.ReturnStmt)
				require.True(t, ok && len(r.Results) == 1, d.Name)
				call, ok := r.Results[0].(*ast.CallExpr)
				require.True(t, ok, d.Name)
				assert.IsType(t, &ast.SelectorExpr{}, call.Fun, d.Name)
				assert.Len(t, call.Args, d.Type.Params.NumFields(), d.Name)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						assert.True(t, s.Assign.IsValid(), "type %s is an alias", s.Name)
						assert.IsType(t, &ast.SelectorExpr{}, s.Type, s.Name)
					case *ast.ValueSpec:
						require.Len(t, s.Values, 1)
						assert.IsType(t, &ast.SelectorExpr{}, s.Values[0], s.Names)
					}
				}
			}
		}
	}
}

func TestNode(t *testing.T) {
	node, err := weir.Start(t.Context(), weir.Config{})
	require.NoError(t, err)
	defer node.Close()
	n, _, err := weir.TakeUpTo(t.Context(), node, "key", weir.Daily(5, "Europe/Berlin"), 8)
	require.NoError(t, err)
	assert.Equal(t, int64(5), n)
}
