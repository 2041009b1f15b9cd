package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Config.Discover is the operator's code on this node's goroutines: it may never return, and may panic.

const discoversMost = 4 // calls of Discover at a time

// discover are the addresses behind what Discover returns. Of some that are wrong the others
// count.
func (c *Config) discover(ctx context.Context) ([]netip.AddrPort, error) {
	seeds, err := c.Discover(ctx)
	if err != nil {
		return nil, err
	}
	return findAll(someOf(seeds, seedsMost), func(seed string) ([]netip.AddrPort, error) {
		err := checkSeed(seed, len(c.secrets()) > 0)
		if err == nil {
			var addrs []netip.AddrPort
			if addrs, err = c.find(ctx, seed); err == nil {
				return addrs, nil
			}
		}
		return nil, fmt.Errorf("%q %w", seed, err)
	})
}

// guarded is a Discover that returns when its context ends, and does not panic. A call that goes on after
// that is left alone; it keeps others from beginning, once there are too many.
func guarded(discover func(context.Context) ([]string, error)) func(context.Context) ([]string, error) {
	type answer struct {
		seeds []string
		err   error
	}
	places := make(chan struct{}, discoversMost)
	return func(ctx context.Context) ([]string, error) {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil, errors.New("stuck: it has not returned from earlier calls")
		}
		told := make(chan answer, 1)
		go func() {
			var a answer
			defer func() {
				if p := recover(); p != nil {
					a = answer{nil, fmt.Errorf("panicked: %v", p)}
				}
				<-places
				told <- a
			}()
			a.seeds, a.err = discover(ctx)
		}()
		select {
		case a := <-told:
			return a.seeds, a.err
		case <-ctx.Done():
			return nil, errors.New("stuck: it has not returned in time")
		}
	}
}
