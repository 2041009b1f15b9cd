package ginlimit_test

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/ginlimit"
)

// readme is what README.md shows, word for word: a test of the repository compares them.
func readme(ctx context.Context, join []string, secret cluster.Secret, policy middleware.Policy) error {
	node, err := cluster.Start(ctx, cluster.Config{Bind: ":7946", Join: join, Secret: secret})
	if err != nil {
		return err
	}
	m, err := middleware.New(node, policy)
	if err != nil {
		return err
	}
	engine := gin.New()
	engine.Use(gin.Recovery(), ginlimit.New(m)) // before the routes
	return nil
}

var _ = readme
