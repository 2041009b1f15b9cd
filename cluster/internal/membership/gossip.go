package membership

import (
	"fmt"
	"log"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Gossip is memberlist, and tells Members what that says. It is the one part of this
// package that has goroutines: memberlist's own. Counters never go over it.
//
// The Notify methods and those beside them are memberlist's delegates. They run under its
// locks: they copy what they need, and never call back.
type Gossip struct {
	cfg     GossipConfig
	members *Members
	leaving atomic.Bool

	list   *memberlist.Memberlist
	gate   chan struct{} // its place is for who ends list, which takes its time
	closed bool          // the same one's: memberlist panics when it leaves after it was shut down
}

// GossipConfig is what Gossip needs of a node. None of its functions may block.
type GossipConfig struct {
	Port             memberlist.NodeAwareTransport // seals, proves and screens; memberlist does nothing of it
	Overhead         int                           // bytes that Port adds to a packet
	Bound, Advertise netip.AddrPort
	Weir             string // this node's version
	Log              *slog.Logger

	Age     func() time.Duration
	Changed func()                         // the members changed
	Doubt   func(name string)              // gossip says otherwise than what is known
	Ghost   func(teller string)            // a member tells of one that is missing, and nobody else does
	Goodbye func(p Process)                // gossip says that a living process leaves
	Contend func(addr string)              // somebody there wants this node's name
	Once    func(what string, tell func()) // calls tell if it has not yet told what
}

// Listen makes this node a member of what it joins. It hears nothing before the port lets
// gossip in.
func Listen(m *Members, cfg GossipConfig) (*Gossip, error) {
	g := &Gossip{cfg: cfg, members: m, gate: make(chan struct{}, 1)}
	var err error
	if g.list, err = memberlist.Create(g.config()); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	return g, nil
}

// config is memberlist's LAN preset, tuned so that a crash is agreed on in about 2.5 s, a
// busy machine is not taken for a dead one, and an idle one sleeps: the tickers of probes
// and of gossip wake it together. News that cannot wait goes directly.
func (g *Gossip) config() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Transport = g.members.self.Name, g.cfg.Port
	c.UDPBufferSize -= g.cfg.Overhead
	c.BindAddr, c.BindPort = g.cfg.Bound.Addr().String(), int(g.cfg.Bound.Port())
	c.AdvertiseAddr, c.AdvertisePort = g.cfg.Advertise.Addr().String(), int(g.cfg.Advertise.Port())
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 200*time.Millisecond
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	c.GossipInterval, c.GossipNodes = c.ProbeInterval, 3
	c.PushPullInterval = 10 * time.Second
	c.TCPTimeout = 5 * time.Second // a handshake and an exchange, seven round trips
	c.AwarenessMaxMultiplier = 4
	c.EnableCompression = false              // our messages are a few names
	c.DeadNodeReclaimTime = time.Millisecond // a dead node's name may come back elsewhere
	c.DelegateProtocolVersion, c.DelegateProtocolMin, c.DelegateProtocolMax = Version, Version, Version
	c.Delegate, c.Events, c.Conflict, c.Alive = g, g, g, g
	c.Logger = log.New(&gossipLog{to: g.cfg.Log}, "", 0)
	return c
}

// Join exchanges members with the node at an address.
func (g *Gossip) Join(addr string) error {
	_, err := g.list.Join([]string{addr})
	return err
}

// AnnounceLeave tells the others that this node is about to leave, and waits for so long at
// most until the news has spread.
func (g *Gossip) AnnounceLeave(most time.Duration) {
	g.leaving.Store(true)
	g.list.UpdateNode(most) // that nobody hears it is no reason to stay
}

// Leave says goodbye, unless gossip was closed meanwhile.
func (g *Gossip) Leave(most time.Duration) {
	g.gate <- struct{}{}
	defer func() { <-g.gate }()
	if !g.closed {
		g.list.Leave(most)
	}
}

// Close ends gossip. A Leave that is under way says goodbye first.
func (g *Gossip) Close() {
	g.gate <- struct{}{}
	defer func() { <-g.gate }()
	g.closed = true
	g.list.Shutdown()
}

// Alive are the names of those that memberlist takes for alive.
func (g *Gossip) Alive() (names []string) {
	for _, m := range g.list.Members() {
		names = append(names, m.Name)
	}
	return names
}

// NodeMeta is this node's metadata.
func (g *Gossip) NodeMeta(int) []byte {
	return Meta{g.members.self.Origin, g.leaving.Load(), g.cfg.Weir}.Encode()
}

// NotifyMsg is not used.
func (*Gossip) NotifyMsg([]byte) {}

// GetBroadcasts is not used.
func (*Gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState is the roster, which goes with each exchange of members.
func (g *Gossip) LocalState(bool) []byte { return AppendRoster(nil, g.members.Roster(g.cfg.Age())) }

// MergeRemoteState learns from another node's.
func (g *Gossip) MergeRemoteState(b []byte, _ bool) {
	r, err := ReadRoster(b)
	if err != nil {
		g.cfg.Once("roster", func() { g.cfg.Log.Error("a node tells who is missing in a way that is not weir's") })
		return
	}
	if g.members.Learn(r, g.cfg.Age()) {
		g.cfg.Changed()
	}
	for _, teller := range g.members.Doubted() {
		g.cfg.Ghost(teller)
	}
}

// NotifyAlive refuses nodes that cannot be of this cluster.
func (g *Gossip) NotifyAlive(m *memberlist.Node) error {
	_, err := ReadMeta(m.Meta)
	if err != nil {
		g.cfg.Once(m.Name, func() { g.cfg.Log.Error("refused a node", "name", m.Name, "addr", m.Address(), "why", err) })
	}
	return err
}

// NotifyConflict says that two living nodes want one name. The first keeps it.
func (g *Gossip) NotifyConflict(existing, other *memberlist.Node) {
	if existing.Name == g.members.self.Name {
		g.cfg.Contend(other.Address())
		return
	}
	g.members.Rival(other.Name, other.Address())
	g.cfg.Once("conflict "+other.Address(), func() {
		g.cfg.Log.Error("two nodes have one name; the second is ignored",
			"name", existing.Name, "addr", existing.Address(), "second", other.Address())
	})
}

// NotifyJoin notes a node that appeared, or that came back.
func (g *Gossip) NotifyJoin(m *memberlist.Node) { g.NotifyUpdate(m) }

// NotifyUpdate notes new metadata: a leave announced, or a restart so quick that
// nobody saw the node dead.
func (g *Gossip) NotifyUpdate(m *memberlist.Node) {
	mt, err := ReadMeta(m.Meta)
	if err != nil || m.Name == g.members.self.Name {
		return
	}
	addr, ok := netip.AddrFromSlice(m.Addr)
	if !ok {
		return
	}
	at := netip.AddrPortFrom(addr.Unmap(), m.Port).String()
	p := Process{m.Name, mt.Origin}
	ask := mt.Leaving && g.members.Stays(p)
	if !g.members.Alive(p, at, mt.Leaving && !ask, g.cfg.Age()) {
		g.cfg.Doubt(m.Name)
		return
	}
	g.members.Runs(p, mt.Weir)
	if ask {
		g.cfg.Goodbye(p)
	}
	g.cfg.Changed()
}

// NotifyLeave notes that a process left or died: the one of which gossip knew last. Only
// of one that said goodbye is it believed at once.
func (g *Gossip) NotifyLeave(m *memberlist.Node) {
	old := g.members.Get(m.Name)
	if old == nil || !old.Live {
		return
	}
	if mt, err := ReadMeta(m.Meta); err != nil || mt.Origin != old.Origin || !old.Leaving {
		g.cfg.Doubt(m.Name)
		return
	}
	if g.members.Lose(old, g.cfg.Age()) {
		g.cfg.Changed()
	}
}
