package ginlimit_test

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/ginlimit"
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
	engine := gin.New()
	engine.Use(gin.Recovery(), ginlimit.New(m))
	engine.POST("/login", func(c *gin.Context) { c.Status(http.StatusUnauthorized) })
}
