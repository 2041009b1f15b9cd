package grpclimit_test

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
)

func Example() {
	node, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	login := middleware.Rule{Name: "login", Limit: limiter.Per(3, time.Minute), Count: middleware.CountStatuses(401)}
	m, err := middleware.New(node, middleware.Policy{Routes: []middleware.Route{middleware.On("/shop.Auth/Login", login)}})
	if err != nil {
		panic(err)
	}
	guard := grpclimit.New(m, grpclimit.Options{})
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(guard.Unary), grpc.ChainStreamInterceptor(guard.Stream))
	defer server.Stop()
}

func ExampleClient() {
	conn, err := grpc.NewClient("dns:///shop:443", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(grpclimit.Client{}.Unary))
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
}
