package connectlimit_test

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/connectlimit"
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
	guard := connect.WithInterceptors(connectlimit.New(m, connectlimit.Options{}))
	// What is generated, shopconnect.NewAuthHandler(auth, guard), makes handlers like this one.
	http.Handle("/shop.Auth/Login", connect.NewUnaryHandler("/shop.Auth/Login",
		func(context.Context, *connect.Request[emptypb.Empty]) (*connect.Response[emptypb.Empty], error) {
			return nil, connect.NewError(connect.CodeUnauthenticated, nil)
		}, guard))
}
