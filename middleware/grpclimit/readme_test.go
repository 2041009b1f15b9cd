package grpclimit_test

import (
	"context"

	"google.golang.org/grpc"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
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
	guard := grpclimit.New(m, grpclimit.Options{})
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(guard.Unary), grpc.ChainStreamInterceptor(guard.Stream))
	_ = server
	return nil
}

var _ = readme
