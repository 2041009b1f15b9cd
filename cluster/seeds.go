package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/port"
)

// Where other nodes may be: what Config.Join and Config.Discover say, looked up anew each time
// that somebody is missing.

const (
	dnsTimeout = 2 * time.Second
	seedsMost  = 64         // addresses of one seed that are tried at a time: whoever is found brings the others
	discovered = "Discover" // stands for Config.Discover among the seeds
)

// seedNames are the entries of Join, and Discover.
func (n *Node) seedNames() []string {
	if n.cfg.Discover == nil {
		return n.cfg.Join
	}
	return append(slices.Clip(n.cfg.Join), discovered)
}

// seeded says whether there is somebody to join.
func (n *Node) seeded() bool { return slices.ContainsFunc(n.seedNames(), n.notOwn) }

// seeds are the addresses behind all seeds, without this node's own.
func (n *Node) seeds(ctx context.Context) []string {
	addrs, _ := findAll(n.seedNames(), func(s string) ([]string, error) { return n.resolve(ctx, s) })
	return addrs
}

// resolve are the addresses behind one seed, without this node's own.
func (n *Node) resolve(ctx context.Context, seed string) (addrs []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	all, err := n.cfg.find(ctx, seed)
	if _, noIP := netip.ParseAddrPort(seed); noIP != nil {
		n.reportLookup(seed, err)
	}
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", seed, err)
	}
	for _, a := range all {
		if n.keyring == nil && !a.Addr().IsLoopback() {
			return nil, fmt.Errorf("resolving %s: %v is not a loopback address, and this node has no Secret", seed, a.Addr())
		}
		if n.notOwn(a.String()) {
			addrs = append(addrs, a.String())
		}
	}
	addrs = someOf(addrs, seedsMost)
	n.expected.seed(addrs)
	return addrs, nil
}

// find looks up a seed.
func (c *Config) find(ctx context.Context, seed string) (addrs []netip.AddrPort, err error) {
	if seed == discovered {
		return c.discover(ctx)
	}
	if name, ok := serviceOf(seed); ok {
		return c.findService(ctx, name)
	}
	host, number, _ := net.SplitHostPort(nameOf(seed)) // validated
	known, err := net.LookupPort("tcp", number)
	if err != nil {
		return nil, err
	}
	return c.findHost(ctx, host, uint16(known))
}

// findService looks up a SRV record, and its targets. Of some that have no address the others
// count.
func (c *Config) findService(ctx context.Context, name string) (addrs []netip.AddrPort, err error) {
	_, targets, err := c.resolver.LookupSRV(ctx, "", "", name)
	if err != nil && len(targets) == 0 {
		return nil, err
	}
	return findAll(someOf(targets, seedsMost), func(t *net.SRV) ([]netip.AddrPort, error) {
		return c.findHost(ctx, strings.TrimSuffix(t.Target, "."), t.Port)
	})
}

// findAll are the addresses of several, looked up at once: a name for which no answer comes takes nothing from
// the time of the others. Of some that have none the others count; else the error is that of the first.
func findAll[T, A any](all []T, find func(T) ([]A, error)) (addrs []A, err error) {
	found, errs := make([][]A, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i, x := range all {
		wg.Go(func() { found[i], errs[i] = find(x) })
	}
	wg.Wait()
	if addrs = slices.Concat(found...); len(addrs) > 0 {
		return addrs, nil
	}
	return nil, cmp.Or(errs...)
}

// someOf are at most so many, each time others.
func someOf[T any](all []T, most int) []T {
	if len(all) <= most {
		return all
	}
	all = slices.Clone(all)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:most]
}

// findHost are all addresses of a host, IPv4 and IPv6.
func (c *Config) findHost(ctx context.Context, host string, number uint16) (addrs []netip.AddrPort, err error) {
	ips, err := c.lookup(ctx, host)
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), number))
	}
	return addrs, err
}

func (c *Config) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	return c.resolver.LookupNetIP(ctx, "ip", host)
}

// nameOf is "host:port" of a seed that may begin with "dns:". A host may have that name itself.
func nameOf(seed string) string {
	if rest, ok := strings.CutPrefix(seed, "dns:"); ok && strings.Contains(rest, ":") {
		return rest
	}
	return seed
}

// serviceOf is the name of a SRV record. A host may be called srv.
func serviceOf(seed string) (name string, ok bool) {
	name, ok = strings.CutPrefix(seed, "srv:")
	if _, err := strconv.ParseUint(name, 10, 16); err == nil {
		ok = false
	}
	return name, ok
}

// checkSeed says what is wrong with a seed.
func checkSeed(seed string, secret bool) error {
	const never = " \t\r\n/%@:?#"
	if name, ok := serviceOf(seed); ok {
		if name == "" || strings.ContainsAny(name, never) {
			return errors.New(`is not "srv:name" of a SRV record`)
		}
		return nil
	}
	host, number, err := net.SplitHostPort(nameOf(seed))
	ip, noIP := netip.ParseAddr(host)
	known, noPort := net.LookupPort("tcp", number)
	switch {
	case err != nil:
		return errors.New(`is not "host:port", "dns:name:port" or "srv:name"`)
	case host == "" || noIP != nil && strings.ContainsAny(host, never):
		return errors.New("has no host")
	case number == "" || noPort != nil || known == 0:
		return errors.New("has no port within 1 to 65535")
	case noIP == nil && !secret && !ip.IsLoopback():
		return errors.New("is not a loopback address: a node without a Secret would trust whoever answers there")
	}
	return nil
}

// notOwn says whether a seed is another one's address than this node's; of a name it is not known.
func (n *Node) notOwn(seed string) bool {
	bare := port.WithoutZone(seed)
	return bare != n.addr.String() && bare != port.WithoutZone(n.port.Addr().String())
}

// reportLookup logs the failure of a name, and its end, each once in a while: a name may come and go.
func (n *Node) reportLookup(seed string, err error) {
	switch turned := n.logs.Turned("seed "+seed, err != nil); {
	case err != nil && n.ctx.Err() == nil:
		n.logs.Once("no seed "+seed, func() { n.log.Warn("cannot resolve a seed; trying again for ever", "seed", seed, "error", err) })
	case err == nil && turned:
		n.logs.Once("seed "+seed, func() { n.log.Info("resolved a seed", "seed", seed) })
	}
}
