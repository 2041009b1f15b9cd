package envoylimit_test

import (
	"context"
	"net"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware/envoylimit"
	"github.com/weir-go/weir/middleware/policyfile"
)

func Example() {
	node, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	guard, watcher, err := policyfile.Guard(node, "policy.yaml", policyfile.Options{})
	if err != nil {
		panic(err)
	}
	defer watcher.Close()

	server := grpc.NewServer()
	rls.RegisterRateLimitServiceServer(server, envoylimit.New(guard))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", ":8081")
	if err != nil {
		panic(err)
	}
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
