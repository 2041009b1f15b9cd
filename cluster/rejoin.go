package cluster

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/port"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/transport"
)

// How a split heals: gossip forgets the dead and never looks for them again, so each node
// tries to join whoever it knows of and does not see: the configured seeds, for ever, and
// for some hours the last addresses of nodes that vanished. It does so also while it sees
// some nodes: each side of a split may have several. One that is found brings all others.
// Each address is tried on its own, by membership.Attempts.

const (
	joinTimeout = 2 * time.Second
	meetAfter   = 100 * time.Millisecond
	meetQueue   = 16
)

// rejoin is the goroutine that never gives up.
func (n *Node) rejoin() {
	next := time.NewTimer(n.lookIn())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if !n.leaving.Load() {
				n.joinSome(func(string, error) {})
			}
			next.Reset(n.lookIn())
		case addr := <-n.meet:
			n.spawn(func() { n.exchange(addr) })
		case <-n.ctx.Done():
			return
		}
	}
}

// exchange compares the members with a node that sees others than we do, a moment after
// it was heard: most differences end by themselves.
func (n *Node) exchange(addr string) {
	// What a peer calls its address is for the peer to get right. If this fails, the
	// difference will be seen again.
	if _, err := netip.ParseAddrPort(addr); err != nil || !n.attempts.Begin("meet "+addr, n.clock.age()) {
		return
	}
	select {
	case <-time.After(meetAfter):
		if !n.leaving.Load() {
			n.gossip.Join(addr)
		}
	case <-n.ctx.Done():
	}
	n.attempts.End("meet "+addr, n.clock.age(), nil, membership.Pauses{})
}

// joinSeeds joins at the start: until all addresses have answered, or, once one has, for a
// moment more. A dead one among them would hold up a node that the others take for a
// member already.
func (n *Node) joinSeeds(ctx context.Context) {
	var mu sync.Mutex
	var failed []string
	var why error
	first := make(chan struct{})
	joined := sync.OnceFunc(func() { close(first) })
	all := n.joinSome(func(addr string, err error) {
		if err == nil {
			joined()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, addr)
		why = cmp.Or(why, err)
	})
	select {
	case <-first:
	case <-all:
	case <-ctx.Done():
	}
	select {
	case <-time.After(seedsAfter):
	case <-all:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	select {
	case <-first:
		return
	default:
	}
	if slices.Sort(failed); len(failed) > 0 && n.ctx.Err() == nil {
		n.log.Warn("cannot join yet; trying again for ever", "addrs", failed, "error", why)
	}
}

// joinSome begins to try every address that should be a member, is not, and is due to be
// tried: the seeds, and those where members were. It calls tried with each outcome, and
// closes the channel that it returns after the last.
func (n *Node) joinSome(tried func(addr string, err error)) <-chan struct{} {
	var wg sync.WaitGroup
	live, missing := n.members.Addresses(n.clock.age())
	live = append(live, n.addr.String(), n.port.Addr().String())
	alone := len(n.view.Load().all) == 0
	try := func(addr string, p membership.Pauses) {
		if slices.Contains(live, port.WithoutZone(addr)) || !n.attempts.Begin(addr, n.clock.age()) {
			return
		}
		wg.Add(1)
		if !n.spawn(func() {
			defer wg.Done()
			err := n.join(addr)
			n.attempts.End(addr, n.clock.age(), err, p)
			tried(addr, err)
		}) {
			wg.Done()
		}
	}
	for _, seed := range n.seedNames() {
		p := membership.SeedPauses(alone)
		if !n.attempts.Begin("seed "+seed, n.clock.age()) {
			continue
		}
		wg.Add(1)
		if !n.spawn(func() {
			defer wg.Done()
			addrs, err := n.resolve(n.ctx, seed)
			n.attempts.End("seed "+seed, n.clock.age(), nil, membership.Pauses{First: p.First, Most: p.First})
			if err != nil {
				tried(seed, err)
			}
			for _, addr := range addrs {
				try(addr, p)
			}
		}) {
			wg.Done()
		}
	}
	for _, addr := range missing {
		if n.attempts.Crowded() {
			break // the rest when these have ended: who vanished last comes first
		}
		try(addr, membership.LostPauses)
	}
	all := make(chan struct{})
	if !n.spawn(func() { wg.Wait(); close(all) }) {
		close(all)
	}
	return all
}

// join asks who is at an address, and exchanges members with it. The question makes for
// good reasons where it is refused, and proves who is there.
func (n *Node) join(addr string) error {
	h, _, err := n.knock(n.ctx, addr)
	if err != nil || h.Origin == n.origin {
		return err
	}
	return n.gossip.Join(port.WithoutZone(addr))
}

// lookIn is how long until the next look at who is missing.
func (n *Node) lookIn() time.Duration {
	_, missing := n.members.Addresses(n.clock.age())
	return membership.LookIn(len(missing) > 0 || len(n.view.Load().all) == 0 && len(n.seedNames()) > 0)
}

// knock asks who is at an address, and for how long that process has lived.
func (n *Node) knock(ctx context.Context, addr string) (h wire.Hello, lived time.Duration, err error) {
	cfg := n.transportConfig()
	cfg.Logger = nil // the caller tells, if anybody
	p, err := transport.NewPeer(cfg, addr, n.hello().Encode, func(reply []byte, _ time.Duration) (err error) {
		h, err = wire.ReadHello(reply)
		return err
	})
	if err != nil {
		return h, 0, err
	}
	defer p.Close()
	var c wire.Time
	if err := p.Call(ctx, time.Now().Add(joinTimeout), wire.KindTime, &c); err != nil {
		n.reportRefusal(addr, p.Err())
		return h, 0, err
	}
	n.answeredBy(h, addr)
	return h, c.Age, nil
}

// reportRefusal tells, once, why an address that answers does not let this node in.
func (n *Node) reportRefusal(addr string, err error) {
	if r, ok := errors.AsType[*transport.RefusedError](err); ok && r.Version {
		n.outdated.at.Store(int64(max(1, n.clock.age())))
	}
	if why := refusal(err); why != "" {
		n.logs.Once("at "+addr+why, func() {
			n.log.Error("cannot join: refused", "addr", addr, "why", why)
		})
	}
}

// refusal is why the other side refuses this one, if it does; else empty.
func refusal(err error) string {
	if r, ok := errors.AsType[*transport.RefusedError](err); ok {
		return r.Reason
	}
	if errors.Is(err, transport.ErrProof) || errors.Is(err, transport.ErrProtocol) || errors.Is(err, transport.ErrCertificate) {
		return err.Error()
	}
	return ""
}
