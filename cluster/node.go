package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/journal"
	"github.com/weir-go/weir/cluster/internal/lease"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/port"
	"github.com/weir-go/weir/cluster/internal/tally"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// The two packages count partitions alike.
const _ = uint(ledger.Partitions-ring.Partitions) + uint(ring.Partitions-ledger.Partitions)

// Node is this process in the cluster. All methods are safe for concurrent use.
type Node struct {
	cfg    Config
	log    *slog.Logger
	logs   *journal.Journal // in front of cfg.Logger
	origin ledger.Origin
	addr   netip.AddrPort // as told to the others
	hasher ledger.Hasher
	ledger *ledger.Ledger
	clock  clock
	near   *lease.Table
	leases lease.Lessor[*peer]
	quorum *agreement // nil without voters
	holds  ledger.Holds
	calls  sync.Pool // of *takeCall

	keyring   *transport.Keyring // nil without a secret
	secretsMu sync.Mutex         // guards the order of SetSecrets

	port     *port.Port
	expected expected
	server   *transport.Server
	gossip   *membership.Gossip
	members  *membership.Members
	attempts membership.Attempts
	contest  *membership.Contest
	view     atomic.Pointer[view]

	// informed is the last table by which all others have sent what is due to this node.
	informed atomic.Pointer[ring.Table]

	changed   chan struct{} // the members changed
	flush     chan struct{} // there is something to hand over or to ship
	steps     chan struct{} // the clock must step
	claims    chan asking
	meet      chan string   // addresses of nodes that see other members than we do
	started   chan struct{} // closed when the node is a member and has its first view
	settled   atomic.Bool   // the same, for those who do not wait
	zones     ledger.Zones
	calendar  atomic.Bool // limits are aligned to the calendar: see calendar.go
	wall      ctime.Wall
	wallWrong bool        // this node's wall clock is not the calendar's; the loop's own
	shares    atomic.Bool // limits are split into shares: see contact.go
	met       atomic.Bool // it sees another node, or has once seen one
	metAt     atomic.Int64
	apart     atomic.Bool // it began without the others
	tried     atomic.Bool // it has tried to meet one for JoinTimeout
	outdated  outdated
	whole     atomic.Bool // it decides, or has once decided, for all that it owns
	leaving   atomic.Bool
	closed    atomic.Bool
	ticked    atomic.Int64 // age at which watch last looked
	resting   atomic.Int32 // what the loop does: see pace
	waits     waits        // requests of peers
	timed     atomic.Bool  // cluster time is known, or there is nobody who knows it
	follows   bool         // another node has told it, at the start

	remeasure atomic.Bool  // some clock jumped: ask all peers how long they have lived
	syncTurn  int          // the loop's; which peer is asked in turn
	wakeMu    sync.Mutex   // guards the order of ticked and epoch
	epoch     atomic.Int64 // how often the process was found to have been stopped

	mu    sync.Mutex // guards the hand-over of partitions
	seats seats
	empty bool // this node has left and handed everything over: it takes nothing more

	forwarded, failovers, degraded, shipped, undone, ringChanges, clockSteps atomic.Int64

	refused refusals
	far     atomic.Int64 // the longest round trip to a peer, in nanoseconds
	farther atomic.Int64 // the longest that a peer has told of
	tallies *tally.Tallies
	own     *tally.Tally // of what began here and was decided here although another node should have
	behind  atomic.Int64 // age since which something is due; 0: nothing is
	routes  *routes      // the loop's

	ctx    context.Context // ends with the node
	cancel context.CancelFunc
	loops  sync.WaitGroup // loop, watch, rejoin
	wg     sync.WaitGroup // what they and the peers' requests begin
	wgMu   sync.Mutex     // guards the order of wg's last Go and its Wait
	once   sync.Once
}

// Start makes a node and joins the cluster. It returns when the node is a member, or
// when none of the addresses in Join answered: then the node is alone, not Ready for
// Config.JoinTimeout, and tries to join for ever. ctx bounds the start alone. The error is one of the Config,
// wrapping ErrConfig and naming the field, or of the port, or wraps ErrNameTaken.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	alone, err := ring.New([]string{cfg.Name})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w: Name %q: %w", ErrConfig, cfg.Name, err)
	}
	n := &Node{cfg: cfg,
		changed: make(chan struct{}, 1), flush: make(chan struct{}, 1), steps: make(chan struct{}, 1),
		claims: make(chan asking, claimQueue), started: make(chan struct{}),
		meet: make(chan string, meetQueue)}
	if secrets := cfg.secrets(); len(secrets) > 0 {
		n.keyring = transport.NewKeyring(callKeys(secrets)...)
	}
	n.near, n.tallies = lease.NewTable(), tally.New()
	n.calls.New = func() any { return new(takeCall) }
	n.clock.init(cfg.Now)
	n.logs = journal.New(cfg.Logger.Handler().WithAttrs([]slog.Attr{slog.String("node", cfg.Name)}))
	n.log = n.logs.Logger()
	n.origin = newOrigin(n.clock.now())
	self := membership.Process{Name: cfg.Name, Origin: n.origin}
	n.members, n.contest = membership.New(self, cfg.ForgetAfter, cfg.ExpectedNodes), membership.NewContest(self)
	n.own = n.tallies.Of(n.origin, 0)
	n.shares.Store(cfg.Split == limiter.SplitShare)
	n.hasher = ledger.NewHasher(cfg.idSecret())
	n.ledger = ledger.NewLedger(n.origin, cfg.MaxKeys)
	for part := range ledger.Partitions {
		n.ledger.Hold(part, false)
	}
	if n.quorum, err = newAgreement(n); err != nil {
		return nil, err // validate has looked
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if cfg.Now != nil {
		n.loops.Go(func() { n.clock.sample(n.ctx.Done()) })
	}
	whole := membership.Size{With: 1, Base: 1}
	n.view.Store(&view{table: alone, peers: make([]*peer, 1), byName: map[string]*peer{}, seen: 1, sets: whole, before: whole, caught: true})
	if err := n.open(ctx); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// newOrigin is a number that no other process has, larger for later ones.
func newOrigin(now int64) ledger.Origin {
	var b [4]byte
	rand.Read(b[:]) // never fails
	ms := uint64(now / int64(time.Millisecond))
	return ledger.Origin(ms<<20 | uint64(binary.LittleEndian.Uint32(b[:])&(1<<20-1)))
}

// open goes through the steps of a start, in the order in which they need each other.
func (n *Node) open(ctx context.Context) (err error) {
	n.port = port.New(n.portConfig())
	serving := n.transportConfig()
	serving.Streams, serving.Known = n.port.Stream, n.expected.has
	if n.server, err = transport.NewServer(serving, server{n}); err != nil {
		return err
	}
	bind, err := n.cfg.resolveBind(ctx)
	if err != nil {
		return err
	}
	if err = n.port.Open(ctx, bind, n.server.ServeConn); err != nil {
		return fmt.Errorf("cluster: Bind %q: %w", bind, err)
	}
	if n.addr, err = n.advertised(ctx); err != nil {
		return err
	}
	n.members.At(n.addr.String())
	n.followSeeds(ctx) // windows tile cluster time: know it before deciding anything
	n.timed.Store(true)
	if err := n.nameTaken(ctx); err != nil {
		return err
	}
	if n.gossip, err = membership.Listen(n.members, n.gossipConfig()); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	n.port.Listen(n.addr)
	n.joinSeeds(ctx)
	if err := n.nameTaken(ctx); err != nil {
		return err
	}
	n.tried.Store(n.cfg.JoinTimeout < 0 || !n.seeded())
	n.ticked.Store(int64(n.clock.age()))
	n.rebuild()
	n.apart.Store(!n.met.Load())
	n.members.Started()
	close(n.started)
	n.loops.Go(n.loop)
	n.loops.Go(n.watch)
	n.loops.Go(n.rejoin)
	n.loops.Go(n.tryToMeet)
	if n.quorum != nil && n.quorum.self >= 0 {
		n.loops.Go(n.quorum.recover)
	}
	return nil
}

func (n *Node) gossipConfig() membership.GossipConfig {
	return membership.GossipConfig{Port: n.port, Overhead: port.Overhead(n.cfg.Label), Bound: n.port.Addr(), Advertise: n.addr, Weir: Version,
		Log: n.log, Age: n.clock.age, Changed: func() { n.kick(n.changed) }, Doubt: n.doubtNews, Goodbye: n.hearGoodbye, Ghost: n.hearGhost, Contend: n.contend, Once: n.logs.Once}
}

func (n *Node) portConfig() port.Config {
	dial := n.transportConfig()
	return port.Config{Network: n.cfg.Network, Zone: n.cfg.zone(), Label: n.cfg.Label, Secrets: bytesOf(n.cfg.secrets()), AllowFrom: n.cfg.AllowFrom,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return transport.DialStream(ctx, dial, addr) }}
}

func (n *Node) transportConfig() transport.Config {
	// As many nodes as there can be, each with its old connection beside the new one.
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		return n.cfg.Network.Dial(ctx, port.InZone(addr, n.cfg.zone()))
	}
	return transport.Config{Label: n.cfg.Label, Dial: dial, Logger: n.log, Strangers: n.logs.Lesser(), Keyring: n.keyring,
		TLS: n.cfg.TLS, Identify: identify, MaxConns: 2 * ring.Partitions}
}

// Close ends the node as a crash would: nothing is handed over. It waits for the
// node's goroutines.
func (n *Node) Close() {
	n.once.Do(func() {
		n.wgMu.Lock() // whoever spawns after this sees that the node is closed
		n.closed.Store(true)
		n.wgMu.Unlock()
		n.cancel()
		if n.gossip != nil {
			n.gossip.Close()
		}
		if n.port != nil {
			n.port.Shutdown()
		}
		if n.server != nil {
			n.server.Close()
		}
		n.loops.Wait()
		for _, p := range n.view.Load().all {
			p.retired.Store(true)
			p.calls.Close()
		}
	})
	n.wg.Wait()
	n.logs.Close()
}

// spawn runs f on a goroutine that Close waits for, unless the node is closed.
func (n *Node) spawn(f func()) bool {
	n.wgMu.Lock()
	defer n.wgMu.Unlock()
	if n.closed.Load() {
		return false
	}
	n.wg.Go(f)
	return true
}

// Ready says whether requests should come to this node. It becomes true when the node is a
// member, or alone because none of its seeds answered for Config.JoinTimeout, and decides for all
// that it owns. From then on it stays true, whatever happens to other nodes, until Leave or
// Close: while partitions change hands, requests are answered all the same.
func (n *Node) Ready() bool {
	return n.becameWhole() && !n.leaving.Load() && !n.closed.Load()
}

// becameWhole says whether this node has ever decided for all that it owns.
func (n *Node) becameWhole() bool {
	if !n.whole.Load() && n.settled.Load() && n.seats.waiting.Load() == 0 && !n.solitary() {
		n.whole.Store(true)
	}
	return n.whole.Load()
}

// Name is the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Addr is the address that the node tells the others, "ip:port".
func (n *Node) Addr() string { return n.addr.String() }
