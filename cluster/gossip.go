package cluster

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// Gossip says who is there, and nothing else: counters never go over it.

const (
	wireVersion   = 1
	metaFields    = 4
	schemeMax     = 128
	refusedLogMax = 64 // nodes whose refusal is remembered as logged
)

// gossipConfig is memberlist's LAN preset, tuned so that a crash is agreed on in
// about 2.5 s, a busy machine is not taken for a dead one, and an idle one sleeps: the
// tickers of probes and of gossip wake it together. News that cannot wait goes directly.
func gossipConfig(n *Node) (*memberlist.Config, error) {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.Transport = n.cfg.Name, n.cfg.Label, n.port
	c.BindAddr, c.BindPort = n.port.addr().Addr().String(), int(n.port.addr().Port())
	c.AdvertiseAddr, c.AdvertisePort = n.addr.Addr().String(), int(n.addr.Port())
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 200*time.Millisecond
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	c.GossipInterval, c.GossipNodes = c.ProbeInterval, 3
	c.PushPullInterval = 10 * time.Second
	c.TCPTimeout = 2 * time.Second
	c.AwarenessMaxMultiplier = 4
	c.EnableCompression = false              // our messages are a few names
	c.DeadNodeReclaimTime = time.Millisecond // a dead node's name may come back elsewhere
	c.DelegateProtocolVersion, c.DelegateProtocolMin, c.DelegateProtocolMax = wireVersion, wireVersion, wireVersion
	c.Delegate, c.Events, c.Conflict, c.Alive = gossip{n}, gossip{n}, gossip{n}, gossip{n}
	c.Logger = log.New(&gossipLog{to: n.log, node: n.cfg.Name}, "", 0)
	if len(n.cfg.Secret) > 0 {
		key, err := hkdf.Key(sha256.New, n.cfg.Secret, nil, "weir gossip v1", 32)
		if err != nil {
			return nil, err
		}
		c.SecretKey = key
	}
	return c, nil
}

// meta is what a node tells about itself by gossip.
type meta struct {
	origin  limiter.Origin
	leaving bool
}

func (m meta) encode() []byte {
	b := transport.AppendArrayLen(nil, metaFields)
	b = transport.AppendUint(b, wireVersion)
	b = transport.AppendString(b, ring.Scheme)
	b = transport.AppendUint(b, uint64(m.origin))
	return transport.AppendBool(b, m.leaving)
}

// readMeta refuses nodes that place partitions otherwise or speak otherwise.
func readMeta(b []byte) (m meta, err error) {
	r := transport.NewReader(b)
	n := r.ArrayLen(16)
	version := r.Uint()
	if r.Err() == nil && version != wireVersion {
		return m, fmt.Errorf("its wire version is %d, ours is %d", version, wireVersion)
	}
	scheme := r.String()
	m.origin, m.leaving = limiter.Origin(r.Uint()), r.Bool()
	if err := finish(&r, n, metaFields); err != nil {
		return m, errors.New("its metadata is not weir's")
	}
	if scheme != ring.Scheme {
		return m, fmt.Errorf("its ring scheme is %.*q, ours is %q", schemeMax, scheme, ring.Scheme)
	}
	return m, nil
}

// gossip is a node as memberlist's delegates see it. Callbacks run under
// memberlist's locks: they copy what they need, and never call back.
type gossip struct{ n *Node }

// NodeMeta is this node's metadata.
func (g gossip) NodeMeta(int) []byte {
	return meta{g.n.origin, g.n.leaving.Load()}.encode()
}

// NotifyMsg and GetBroadcasts are not used.
func (gossip) NotifyMsg([]byte)                {}
func (gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState is the roster, which goes with each exchange of members.
func (g gossip) LocalState(bool) []byte {
	return appendRoster(nil, g.n.members.roster(g.n.clock.age()))
}

// MergeRemoteState learns from another node's.
func (g gossip) MergeRemoteState(b []byte, _ bool) {
	r, err := readRoster(b)
	if err != nil {
		g.n.members.refuse("roster", func() { g.n.log.Error("a node tells who is missing in a way that is not weir's") })
		return
	}
	if g.n.members.learn(r, g.n.clock.age()) {
		g.n.kick(g.n.changed)
	}
}

// NotifyAlive refuses nodes that cannot be of this cluster.
func (g gossip) NotifyAlive(m *memberlist.Node) error {
	_, err := readMeta(m.Meta)
	if err != nil {
		g.n.members.refuse(m.Name, func() {
			g.n.log.Error("refused a node", "name", m.Name, "addr", m.Address(), "why", err)
		})
	}
	return err
}

// NotifyConflict says that two living nodes want one name. The first keeps it.
func (g gossip) NotifyConflict(existing, other *memberlist.Node) {
	if existing.Name == g.n.cfg.Name {
		g.n.contend(other.Address())
		return
	}
	g.n.members.rival(other.Name, other.Address())
	g.n.members.refuse("conflict "+other.Address(), func() {
		g.n.log.Error("two nodes have one name; the second is ignored",
			"name", existing.Name, "addr", existing.Address(), "second", other.Address())
	})
}

// NotifyJoin notes a node that appeared, or that came back.
func (g gossip) NotifyJoin(m *memberlist.Node) { g.update(m) }

// NotifyUpdate notes new metadata: a leave announced, or a restart so quick that
// nobody saw the node dead.
func (g gossip) NotifyUpdate(m *memberlist.Node) { g.update(m) }

func (g gossip) update(m *memberlist.Node) {
	mt, err := readMeta(m.Meta)
	if err != nil || m.Name == g.n.cfg.Name {
		return
	}
	addr, ok := netip.AddrFromSlice(m.Addr)
	if !ok {
		return
	}
	at := netip.AddrPortFrom(addr.Unmap(), m.Port).String()
	if !g.n.members.see(m.Name, at, mt, g.n.clock.age()) {
		g.n.doubtNews(m.Name)
		return
	}
	g.n.kick(g.n.changed)
}

// NotifyLeave notes a process that left or died: the one of which gossip knew last.
func (g gossip) NotifyLeave(m *memberlist.Node) {
	old := g.n.members.get(m.Name)
	if old == nil || !old.live {
		return
	}
	if mt, err := readMeta(m.Meta); err == nil && mt.origin == old.origin && old.leaving {
		g.n.lose(old)
		return
	}
	g.n.doubtNews(m.Name)
}
