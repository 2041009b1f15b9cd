package cluster

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How a split heals: gossip forgets the dead and never looks for them again, so each
// node tries for ever to join whoever it knows of and does not see: the configured
// seeds, resolved anew each time, and the last addresses of nodes that vanished. It
// does so also while it sees some nodes: each side of a split may have several.

const (
	rejoinEvery = 3 * time.Second // and up to as much again by chance
	aloneEvery  = 500 * time.Millisecond
	joinAtOnce  = 8 // joins at a time
	dnsTimeout  = 2 * time.Second
	meetAfter   = 100 * time.Millisecond
	meetQueue   = 16
)

// rejoin is the goroutine that never gives up.
func (n *Node) rejoin() {
	next := time.NewTimer(n.rejoinIn())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if !n.leaving.Load() {
				n.joinMissing(n.ctx, func() {})
			}
			next.Reset(n.rejoinIn())
		case addr := <-n.meet:
			n.exchange(addr)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) rejoinIn() time.Duration {
	every := rejoinEvery
	if len(n.view.Load().all) == 0 && len(n.cfg.Join) > 0 {
		every = aloneEvery
	}
	return every + rand.N(every)
}

// exchange compares the members with nodes that see others than we do, a moment
// after the first of them was heard: most differences end by themselves.
func (n *Node) exchange(first string) {
	select {
	case <-time.After(meetAfter):
	case <-n.ctx.Done():
		return
	}
	addrs := map[string]bool{first: true}
	for len(n.meet) > 0 {
		addrs[<-n.meet] = true
	}
	for addr := range addrs {
		// What a peer calls its address is for the peer to get right. If this fails,
		// the difference will be seen again.
		if _, err := netip.ParseAddrPort(addr); err == nil && !n.leaving.Load() {
			n.list.Join([]string{addr})
		}
	}
}

// joinSeeds joins at the start: until all addresses have answered, or, once one has, for a
// moment more. A dead one among them would hold up a node that the others take for a
// member already.
func (n *Node) joinSeeds(ctx context.Context) {
	first, all := make(chan struct{}), make(chan struct{})
	joined := sync.OnceFunc(func() { close(first) })
	if !n.spawn(func() {
		defer close(all)
		n.joinMissing(n.ctx, joined)
	}) {
		return
	}
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
}

// joinMissing tries to join every address that should be a member and is not. It calls
// joined for each that worked.
func (n *Node) joinMissing(ctx context.Context, joined func()) {
	live := map[string]bool{n.addr.String(): true, n.port.addr().String(): true}
	for _, m := range n.members.list() {
		if m.live {
			live[m.addr] = true
		}
	}
	targets := append(n.seeds(ctx), n.members.missing()...)
	slices.Sort(targets)
	targets = slices.DeleteFunc(slices.Compact(targets), func(a string) bool { return live[a] })
	n.mu.Lock()
	maps.DeleteFunc(n.unjoined, func(a string, _ bool) bool {
		return !slices.Contains(targets, a) && !slices.Contains(n.cfg.Join, a)
	})
	n.mu.Unlock()

	token := make(chan struct{}, joinAtOnce)
	var wg sync.WaitGroup
	for _, addr := range targets {
		select {
		case token <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return
		}
		wg.Go(func() {
			defer func() { <-token }()
			_, err := n.list.Join([]string{addr})
			if n.reportJoin(addr, err); err == nil {
				joined()
			}
		})
	}
	wg.Wait()
}

// reportJoin logs the first failure of an address, and its end.
func (n *Node) reportJoin(addr string, err error) {
	switch n.joinNews(addr, err) {
	case failedNow:
		n.log.Warn("cannot join yet; trying again for ever", "node", n.cfg.Name, "addr", addr, "error", err)
	case endedNow:
		n.log.Info("joined", "node", n.cfg.Name, "addr", addr)
	}
}

// reportLookup does the same for a name.
func (n *Node) reportLookup(seed string, err error) {
	switch n.joinNews(seed, err) {
	case failedNow:
		n.log.Warn("cannot resolve a seed; trying again for ever", "node", n.cfg.Name, "seed", seed, "error", err)
	case endedNow:
		n.log.Info("resolved a seed", "node", n.cfg.Name, "seed", seed)
	}
}

type news uint8

const (
	nothingNew news = iota
	failedNow
	endedNow
)

// joinNews remembers how an attempt went, and says what is new about it.
func (n *Node) joinNews(what string, err error) news {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.unjoined[what]
	switch {
	case err == nil && was:
		delete(n.unjoined, what)
		return endedNow
	case err != nil && !was && n.ctx.Err() == nil:
		n.unjoined[what] = true
		return failedNow
	}
	return nothingNew
}

// seeds are the addresses behind Config.Join, without this node's own.
func (n *Node) seeds(ctx context.Context) (addrs []string) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	for _, s := range n.cfg.Join {
		host, port, _ := net.SplitHostPort(s) // validated
		ips, err := lookup(ctx, host)
		if _, isIP := netip.ParseAddr(host); isIP != nil {
			n.reportLookup(s, err)
		}
		for _, ip := range ips {
			a := net.JoinHostPort(ip.Unmap().String(), port)
			if a != n.addr.String() && a != n.port.addr().String() {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
