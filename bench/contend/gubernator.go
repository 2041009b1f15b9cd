package contend

import (
	"context"
	"errors"
	"io"
	"time"

	guber "github.com/gubernator-io/gubernator/v2"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
)

// guberName is the name of the one limit that all requests to gubernator are about.
const guberName = "bench"

// quiet is a logger that says nothing: what fails is returned as well.
func quiet() *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return logrus.NewEntry(l)
}

// guberRequest is a take as gubernator wants it. It writes into a request, so each
// take has one of its own.
func guberRequest(key string, b Budget, behavior guber.Behavior) *guber.GetRateLimitsReq {
	return &guber.GetRateLimitsReq{Requests: []*guber.RateLimitReq{{
		Name: guberName, UniqueKey: key, Hits: 1, Limit: b.Quota,
		Duration: int64(b.Window / time.Millisecond), Behavior: behavior,
	}}}
}

// guberAnswer reads the answer to one request.
func guberAnswer(resp *guber.GetRateLimitsResp, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	r := resp.Responses[0]
	if r.Error != "" {
		return false, errors.New(r.Error)
	}
	return r.Status == guber.Status_UNDER_LIMIT, nil
}

// makeGubernator is gubernator as a library, with one node that owns every key: no
// network, but the way through its workers.
func makeGubernator(b Budget, maxKeys int) (func() Take, error) {
	const self = "127.0.0.1:1" // never dialled: the node is its own owner
	v1, err := guber.NewV1Instance(guber.Config{
		GRPCServers: []*grpc.Server{grpc.NewServer()}, CacheSize: maxKeys, Logger: quiet(), AdvertiseAddr: self,
	})
	if err != nil {
		return nil, err
	}
	v1.SetPeers([]guber.PeerInfo{{GRPCAddress: self, IsOwner: true}})
	ctx := context.Background()
	return shared(func(key string) (bool, error) {
		return guberAnswer(v1.GetRateLimits(ctx, guberRequest(key, b, guber.Behavior_NO_BATCHING)))
	}), nil
}
