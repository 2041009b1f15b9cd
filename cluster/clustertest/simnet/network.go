package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Options are the defaults of every wire. The zero value is a perfect network
// without delay.
type Options struct {
	Seed      uint64        // of the draws for loss, jitter and duplication
	Latency   time.Duration // one way; a host reaches itself without any
	Jitter    time.Duration // added to Latency, uniform in [0, Jitter); streams stay in order
	Loss      float64       // share of packets that vanish, 0…1
	Duplicate float64       // share of packets that arrive twice, 0…1

	// Late is the share of packets, 0…1, that something on the way holds for up to
	// LateMax, uniform, and delivers then. What was sent later overtakes them.
	Late    float64
	LateMax time.Duration

	// PacketQueue is a packet socket's receive buffer in packets, 512 by default.
	// What arrives when it is full is dropped.
	PacketQueue int

	// SendBuffer is how many bytes of one direction of a stream may be on the wire
	// or unread by the peer before Write blocks, 256 KiB by default.
	SendBuffer int

	// UserTimeout ends a stream whose bytes were not acknowledged for so long, as
	// TCP_USER_TIMEOUT does: 2 s by default. Negative leaves the kernel's own limit
	// of 15 retransmissions, some 15 minutes. It never ends an idle stream.
	UserTimeout time.Duration

	// RTO is the wait before the first retransmission of held stream bytes, doubling
	// up to two minutes: 200 ms by default, as Linux has it. Negative sends them at
	// the very moment the wire is whole again.
	RTO time.Duration

	// KeepAlive ends a stream, idle ones too, once its wire has been cut for so long.
	// Zero never does.
	KeepAlive time.Duration
}

// Limits that are the same for all networks.
const (
	packetMax    = 65507 // payload of an IPv4 UDP datagram
	backlog      = 128   // dialed but not yet accepted
	rtoMax       = 2 * time.Minute
	rtoTries     = 15 // net.ipv4.tcp_retries2
	synWait      = time.Second
	synTries     = 7     // net.ipv4.tcp_syn_retries, plus the first: 127 s in all
	listenPorts  = 30000 // where port 0 starts to look
	dialPorts    = 40000 // local ports of dialers: dialPorts … portMax
	portMax      = 65535
	queueDefault = 512
	bufDefault   = 256 << 10
	userDefault  = 2 * time.Second
	rtoDefault   = 200 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.PacketQueue == 0 {
		o.PacketQueue = queueDefault
	}
	if o.SendBuffer == 0 {
		o.SendBuffer = bufDefault
	}
	if o.UserTimeout == 0 {
		o.UserTimeout = userDefault
	}
	if o.RTO == 0 {
		o.RTO = rtoDefault
	}
	return o
}

// Stats counts what the wires did so far.
type Stats struct {
	Packets    int // sent
	Bytes      int // in those packets
	Lost       int // of them drawn as lost
	Late       int // of them held on the way
	CutDrops   int // of them dropped by a cut, a partition or a crash
	QueueDrops int // of them dropped because the receiver's queue was full
	Dials      int // SYNs sent
	Resets     int // ends of streams that failed: reset or timed out
}

// String is for test logs.
func (s Stats) String() string {
	return fmt.Sprintf("packets=%d bytes=%d lost=%d late=%d cut=%d queuedrop=%d dials=%d resets=%d",
		s.Packets, s.Bytes, s.Lost, s.Late, s.CutDrops, s.QueueDrops, s.Dials, s.Resets)
}

// Network is a set of hosts, every two of them joined by two one-way wires.
// All methods may be called at any time from any goroutine.
type Network struct {
	// mu guards everything in the network: hosts, sockets, streams, schedule. One
	// lock is enough because nothing waits while holding it (conditions release it),
	// and it makes every arrival a single step.
	mu     sync.Mutex
	opt    Options
	rng    *rand.Rand
	plan   schedule
	stats  Stats
	nextID uint64 // of streams; orders them where a map would not

	byAddr map[netip.Addr]*Host
	byName map[string]*Host // the newest host of each name
	group  map[string]int   // by host name; empty = no partition
	cut    map[wire]bool
	links  map[wire]link // wires that differ from the defaults
}

// New returns a network without hosts. In a test under synctest, call it inside
// the bubble.
func New(o Options) *Network {
	n := &Network{
		opt:    o.withDefaults(),
		rng:    rand.New(rand.NewPCG(o.Seed, 0)),
		byAddr: map[netip.Addr]*Host{},
		byName: map[string]*Host{},
		group:  map[string]int{},
		cut:    map[wire]bool{},
		links:  map[wire]link{},
	}
	n.plan.init(&n.mu)
	return n
}

// Host adds a machine, with one process on it. The name labels it in faults. Both
// name and IP may be those of a host that was killed or crashed: so a node comes
// back, at its old address or at a new one. Those of a host still running panic.
func (n *Network) Host(name, ip string) *Host {
	addr := netip.MustParseAddr(ip).Unmap()
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.byName[name]; old != nil {
		if old.runningLocked() {
			panic("simnet: host " + name + " is still running")
		}
		old.killLocked() // of a crashed host: what still runs of it is ended for good
		// The machine moved. Where it moved from, nobody answers.
		if n.byAddr[old.addr] == old {
			delete(n.byAddr, old.addr)
		}
	}
	if old := n.byAddr[addr]; old != nil && old.runningLocked() {
		panic("simnet: address " + ip + " is in use by " + old.name)
	}
	h := newHost(n, name, addr)
	n.byName[name], n.byAddr[addr] = h, h
	return h
}

// Set changes the defaults of all wires, from now on.
func (n *Network) Set(change func(*Options)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.opt)
	n.opt = n.opt.withDefaults()
}

// Stats returns the counters as they are now.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}
