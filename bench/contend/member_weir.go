package contend

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/weir-go/weir/cluster"
)

// secret is what the members of a measured cluster share. It guards loopback for a
// few seconds, so that it is known does not matter.
const secret = "known to everybody who reads this"

// weirMember is a node of a cluster. It is opened when it meets the others, since a
// node is told at its start whom to join.
type weirMember struct {
	*cluster.Node
}

func startWeir(s Setup) (Member, error) {
	c := cluster.Config{
		Name: s.Name, MaxKeys: s.MaxKeys, CallTimeout: callTimeout, Logger: slog.New(slog.DiscardHandler),
	}
	if s.Kind == Weir {
		c.Secret = []byte(secret)
	}
	if s.Server != "" {
		c.Join = []string{s.Server}
	}
	n, err := cluster.Start(context.Background(), c)
	if err != nil {
		return nil, err
	}
	return weirMember{n}, nil
}

// steady is how often in a row, every pollEvery, a node must look ready. One that has
// just heard of another has not heard yet which partitions change hands.
const (
	steady    = 40
	pollEvery = 5 * time.Millisecond
)

// Meet waits until this node sees all, and no partition is on its way to it.
func (m weirMember) Meet(ctx context.Context, addrs []string) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for good := 0; good < steady; {
		good++
		if s := m.Stats(); s.Live != len(addrs) || !m.Ready() || s.Pending > 0 || s.Behind > 0 {
			good = 0
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
	}
	return nil
}

// errDegraded is what an answer without the owner counts as.
var errDegraded = errors.New("contend: the answer is degraded")

func (m weirMember) Taker(b Budget) Take {
	ctx, lim := context.Background(), b.limit()
	return func(key string) (bool, error) {
		d, err := m.Take(ctx, key, lim, 1)
		if err == nil && d.Degraded {
			err = errDegraded
		}
		return d.Allowed, err
	}
}

// Foreign looks, which takes nothing, and sees whether that was passed on. Nobody else
// may take here meanwhile.
func (m weirMember) Foreign(key string, b Budget) (bool, error) {
	before := m.Stats().Forwarded
	_, err := m.Take(context.Background(), key, b.limit(), 0)
	return m.Stats().Forwarded > before, err
}

func (m weirMember) Forwarded() int64 { return m.Stats().Forwarded }
func (m weirMember) Anomalies() int64 { return m.Stats().Failovers }
