package cluster

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/weir-go/weir/cluster/internal/port"
)

// TurnedAway counts what a node did not let in, by reason. Strangers do this, members of
// other clusters, and nodes whose configuration differs.
type TurnedAway struct {
	NotAllowed  int64 // connections and packets from outside of Config.AllowFrom
	Crowded     int64 // connections that gave their place to later ones before they had proved the secret
	Silent      int64 // that did not prove it in time, or went away
	Garbage     int64 // that began with what is not weir's
	WrongSecret int64 // connections that proved another secret or none, and packets sealed by another
	Refused     int64 // connections of another version or label, or refused for what they said
	Busy        int64 // that found too many others in their handshake
	BadPackets  int64 // packets, and messages of gossip on connections, that are not of weir's form
	Replays     int64 // packets that came again
}

// turnedAway reads the counters.
func (n *Node) turnedAway() TurnedAway {
	var t TurnedAway
	if n.server == nil {
		return t
	}
	s, p := n.server.Turned(), n.port.Stats()
	return TurnedAway{NotAllowed: p.NotAllowed, Crowded: s.Crowded, Silent: s.Silent, Garbage: s.Garbage,
		WrongSecret: s.WrongSecret + p.WrongSecret, Refused: s.Refused, Busy: s.Busy, BadPackets: p.BadPackets, Replays: p.Replays}
}

// expected is the addresses that peers may come from: of members, of those that vanished, and
// of Join. They have places of their own at the door.
type expected struct {
	all atomic.Pointer[map[netip.Addr]struct{}]

	mu    sync.Mutex
	seeds map[netip.Addr]struct{} // what Join resolved to
}

const expectedSeeds = 1024 // addresses; names that resolve to others all the time do not fill the memory

func (e *expected) has(a netip.Addr) bool {
	all := e.all.Load()
	if all == nil {
		return false
	}
	_, ok := (*all)[a]
	return ok
}

// seed adds what Join resolved to.
func (e *expected) seed(addrs []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seeds == nil || len(e.seeds) >= expectedSeeds {
		e.seeds = map[netip.Addr]struct{}{}
	}
	add(e.seeds, addrs)
}

// set replaces the members.
func (e *expected) set(members ...[]string) {
	all := map[netip.Addr]struct{}{}
	for _, addrs := range members {
		add(all, addrs)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for a := range e.seeds {
		all[a] = struct{}{}
	}
	e.all.Store(&all)
}

func add(to map[netip.Addr]struct{}, addrs []string) {
	for _, s := range addrs {
		if a, err := netip.ParseAddrPort(port.WithoutZone(s)); err == nil {
			to[a.Addr().Unmap()] = struct{}{}
		}
	}
}
