package envoylimit_test

import (
	"context"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware/envoylimit"
	"github.com/weir-go/weir/middleware/policyfile"
)

// readme is what README.md shows, word for word: a test of the repository compares them.
func readme(ctx context.Context, join []string, secret cluster.Secret) error {
	node, err := cluster.Start(ctx, cluster.Config{Bind: ":7946", Join: join, Secret: secret})
	if err != nil {
		return err
	}
	guard, _, err := policyfile.Guard(node, "policy.yaml", policyfile.Options{})
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	rls.RegisterRateLimitServiceServer(server, envoylimit.New(guard))
	return nil
}

var _ = readme
