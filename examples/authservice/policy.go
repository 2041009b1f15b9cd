package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"

	"github.com/weir-go/weir/examples/authservice/service"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// errPolicyFile is wrapped by every error for which the file of -policy is to blame,
// whether it says something wrong or cannot be read.
var errPolicyFile = errors.New("flag -policy")

// firstPolicy is what the nodes start with: the file's, or the service's own.
func (o options) firstPolicy() (middleware.Policy, error) {
	if o.policy == "" {
		p := service.Policy()
		p.Address.Trusted = o.trusted
		return p, nil
	}
	p, err := policyfile.Load(o.policy, fileOptions())
	if err == nil {
		p, err = o.complete(p)
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", errPolicyFile, err)
	}
	return p, nil
}

// fileOptions has a route that the service does not have refused: misspelt, it would leave
// the route that was meant on the default.
func fileOptions() policyfile.Options {
	return policyfile.Options{Hooks: policyfile.Hooks{Mux: service.Mux()}}
}

// complete adds to a file's policy what the service and the flags want of any policy. The
// proxies of -trusted-proxies come on top of the file's own: whoever set the flag
// relies on it, and a reload must not turn all clients into one.
func (o options) complete(p middleware.Policy) (middleware.Policy, error) {
	if len(o.trusted) > 0 && p.Address.Hops > 0 {
		return p, &policyfile.Error{
			File: o.policy, Field: "address.hops", Value: strconv.Itoa(p.Address.Hops),
			Reason: "excludes flag -trusted-proxies: use one of the two",
		}
	}
	p.Address.Trusted = slices.Concat(p.Address.Trusted, o.trusted)
	p = service.WithHealth(p)
	return p, p.Check()
}

// follow keeps the servers on the policy file, on every change of it and on every signal
// from hup, until stop is called. A broken file leaves the old policy in force on all
// nodes; the log tells of each attempt in one line.
func follow(ctx context.Context, o options, servers []*service.Server, hup <-chan os.Signal,
	log *slog.Logger) (stop func(), err error) {
	f := fileOptions()
	f.OnReload = func(err error) {
		if err != nil {
			log.Error("policy not reloaded, the old one stays in force", "error", err)
			return
		}
		log.Info("policy reloaded", "file", o.policy, "nodes", len(servers))
	}
	w, err := policyfile.Watch(o.policy, f, func(p middleware.Policy) error {
		return swap(servers, o, p)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPolicyFile, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-hup:
				_ = w.Reload() // OnReload has told
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
		w.Close()
	}, nil
}

// swap puts a file's policy in force on all nodes. It is checked before the first one has
// it, so that no two nodes are on different policies because one refused.
func swap(servers []*service.Server, o options, p middleware.Policy) error {
	p, err := o.complete(p)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := s.Swap(p); err != nil {
			return fmt.Errorf("node %s: %w", s.Node().Name(), err)
		}
	}
	return nil
}
