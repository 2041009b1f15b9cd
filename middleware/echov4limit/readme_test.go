package echov4limit_test

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/echov4limit"
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
	e := echo.New()
	e.Use(echov4limit.New(m))
	return nil
}

var _ = readme
