package echov4limit_test

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/echov4limit"
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
	e := echo.New()
	e.Use(echov4limit.New(m))
	e.POST("/login", func(echo.Context) error { return echo.ErrUnauthorized })
}
