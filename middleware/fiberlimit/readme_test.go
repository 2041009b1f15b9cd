package fiberlimit_test

import (
	"context"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/fiberlimit"
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
	app := fiber.New()
	app.Use(recover.New(), fiberlimit.New(m))
	return nil
}

var _ = readme
