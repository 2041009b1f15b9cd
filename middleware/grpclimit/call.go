package grpclimit

import (
	"context"
	"iter"
	"maps"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/weir-go/weir/middleware"
)

// callOf is a call as the policy sees it.
func callOf(ctx context.Context, method string) middleware.Call {
	c := middleware.Call{Path: method, Get: lookUp, All: list}
	if p, ok := peer.FromContext(ctx); ok {
		c.Addr = p.Addr
	}
	return c
}

// lookUp is the metadata of a name that is not in lower case.
func lookUp(ctx context.Context, name string) []string {
	if name == "Host" {
		name = ":authority"
	}
	return metadata.ValueFromIncomingContext(ctx, strings.ToLower(name))
}

// list is all metadata.
func list(ctx context.Context) iter.Seq2[string, []string] {
	md, _ := metadata.FromIncomingContext(ctx)
	return maps.All(md)
}
