package fiberlimit_test

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/fiberlimit"
)

func Example() {
	node, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	login := middleware.Rule{Name: "login", Limit: limiter.Per(3, time.Minute), Count: middleware.CountFailures}
	m, err := middleware.New(node, middleware.Policy{Routes: []middleware.Route{middleware.On("POST /login", login)}})
	if err != nil {
		panic(err)
	}
	app := fiber.New()
	app.Use(recover.New(), fiberlimit.New(m))
	app.Post("/login", func(fiber.Ctx) error { return fiber.ErrUnauthorized })
}
