package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/weir-go/weir/examples/authservice/service"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// errPolicyFile is wrapped by every error for which the file of -policy is to blame,
// whether it says something wrong or cannot be read.
var errPolicyFile = errors.New("flag -policy")

// limits keep all servers on one policy: the file's, or the service's own.
type limits struct {
	mu      sync.Mutex // guards the rest
	now     middleware.Policy
	servers []*service.Server
}

// openLimits reads the policy, and follows its file until stop is called: on every change
// and on SIGHUP. A broken file leaves the old policy in force on all nodes, and the log
// tells of each attempt in one line. After stop a SIGHUP ends the process, and with it
// whatever is being handed over: call it last.
func openLimits(o options, log *slog.Logger) (l *limits, stop func(), err error) {
	l = &limits{}
	if o.policy == "" {
		l.now = service.Policy()
		l.now.Address.Trusted, l.now.Dialects = o.trusted, o.headers
		return l, func() {}, nil
	}
	w, err := policyfile.Watch(o.policy, policyfile.Options{
		// A route that the service does not have is refused: misspelt, it would leave the
		// route that was meant on the default.
		Hooks:  policyfile.Hooks{Mux: service.Mux()},
		Adjust: o.complete,
		OnReload: func(err error) {
			if err != nil {
				log.Error("policy not reloaded, the old one stays in force", "error", err)
				return
			}
			log.Info("policy reloaded", "file", o.policy)
		},
	}, l.swap)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errPolicyFile, err)
	}
	w.ReloadOn(syscall.SIGHUP)
	return l, w.Close, nil
}

// complete adds to a file's policy what the service and the flags want of any policy. The
// proxies of -trusted-proxies come on top of the file's own: whoever set the flag
// relies on it, and a reload must not turn all clients into one.
func (o options) complete(p *middleware.Policy) error {
	if len(o.trusted) > 0 && p.Address.Hops > 0 {
		return &middleware.PolicyError{Path: "address.hops", Value: strconv.Itoa(p.Address.Hops),
			Reason: "excludes flag -trusted-proxies: use one of the two"}
	}
	p.Address.Trusted = slices.Concat(p.Address.Trusted, o.trusted)
	*p = service.WithHealth(*p)
	return nil
}

// swap puts a policy in force on all servers, and on those that are still to come.
func (l *limits) swap(p middleware.Policy) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.servers {
		if err := s.Swap(p); err != nil {
			return fmt.Errorf("node %s: %w", s.Node().Name(), err)
		}
	}
	l.now = p
	return nil
}

// policy is the one in force.
func (l *limits) policy() middleware.Policy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// add has a server follow, one that began with an earlier policy perhaps.
func (l *limits) add(s *service.Server) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = append(l.servers, s)
	return s.Swap(l.now)
}
