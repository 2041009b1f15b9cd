package service

import (
	"context"
	"crypto"
	"io"
	"math/big"

	"github.com/weir-go/weir/limiter"
)

func bigInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// publicOnly is a key of which nobody has the private half.
type publicOnly struct{ public crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.public }

func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, io.EOF }

// fakeNode decides like a single node, and may be made to be cut off or dead.
type fakeNode struct {
	*limiter.Local
	degraded bool
	err      error
}

func (f *fakeNode) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	if f.err != nil {
		return limiter.Decision{}, f.err
	}
	d, err := f.Local.Take(ctx, key, l, cost)
	d.Degraded = f.degraded
	return d, err
}
