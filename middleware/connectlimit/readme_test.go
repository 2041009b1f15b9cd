package connectlimit_test

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/connectlimit"
)

// shopconnect stands for what is generated for a service of one's own.
var shopconnect struct {
	NewAuthHandler func(auth any, options ...connect.HandlerOption) (path string, h http.Handler)
}

// readme is what README.md shows, word for word: a test of the repository compares them.
func readme(ctx context.Context, join []string, secret cluster.Secret, policy middleware.Policy, mux *http.ServeMux, auth any) error {
	node, err := cluster.Start(ctx, cluster.Config{Bind: ":7946", Join: join, Secret: secret})
	if err != nil {
		return err
	}
	m, err := middleware.New(node, policy)
	if err != nil {
		return err
	}
	guard := connect.WithInterceptors(connectlimit.New(m, connectlimit.Options{}))
	mux.Handle(shopconnect.NewAuthHandler(auth, guard))
	return nil
}

var _ = readme
