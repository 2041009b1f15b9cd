package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// peer is one process of another node, and the connection on which this node calls it.
type peer struct {
	name, addr string
	origin     ledger.Origin
	calls      *transport.Peer

	pace  wait.Pace  // how long it takes to answer
	time  ctime.Peer // what its clock says
	undos undos      // what it is to take back

	hearsay    atomic.Pointer[hearsay]
	introduced atomic.Int64  // processes that it was the first to tell of
	differs    atomic.Int64  // by how much it said that cluster time should be later, and was not followed
	refused    atomic.Int32  // how often, since it had this node's time
	silent     bool          // it has not answered for long: see contact.go; the loop's
	greeted    time.Time     // when it was asked for a sign of life and has given none since; the loop's
	greeting   atomic.Bool   // a call for that is under way
	down       atomic.Bool   // it failed to answer; it is probed until it has
	probed     atomic.Bool   // by a goroutine
	retired    atomic.Bool   // it is in no view any more
	shipping   atomic.Int32  // frames of copies not yet acknowledged
	shipMore   atomic.Bool   // there was more: go on when there are fewer
	shipAt     int           // and where; the loop's
	caughtUp   atomic.Uint64 // the table by which it has been sent all that is due
	askedAt    atomic.Int64  // age at which it was asked to say whether we have all that is due
	relays     relays        // where it is not asked to reach others for us

	toldLeave atomic.Bool // it knows that this node leaves
	shares    shares      // of this node's places for requests that wait

	table      atomic.Uint64 // fingerprint of the ring that it has, as it said last
	tableAsked atomic.Bool   // it is being asked
}

// Pauses between two probes of a peer that is down.
const (
	probeMin = 20 * time.Millisecond
	probeMax = 250 * time.Millisecond
)

const missedAfter = 3 * time.Second // without an answer, before an operator hears of it

// peerFor is the peer of a member: the one in the old view, or a new one, which
// connects when it is first used.
func (n *Node) peerFor(old *view, m *membership.Member) *peer {
	if p := old.byName[m.Name]; p != nil && p.addr == m.Addr && p.origin == m.Origin {
		return p
	}
	p := &peer{name: m.Name, addr: m.Addr, origin: m.Origin}
	p.calls = n.dialFor(p, m.Name, m.Addr)
	p.calls.Connect() // the first take need not wait for it
	p.time.Trust(n.trusts())
	return p
}

// dial makes the connection to whoever answers at an address.
func (n *Node) dial(name, addr string) *transport.Peer { return n.dialFor(nil, name, addr) }

// dialFor makes the connection to a node, for p if that is not nil; an empty name is
// whoever answers.
func (n *Node) dialFor(p *peer, name, addr string) *transport.Peer {
	t, err := transport.NewPeer(n.transportConfig(), addr, n.hello().Encode, func(reply []byte, took time.Duration) error {
		h, err := wire.ReadHello(reply)
		if err != nil {
			return err
		}
		n.answeredBy(h, addr)
		if name != "" && h.Name != name {
			return fmt.Errorf("cluster: %s is now the node %q, not %q", addr, h.Name, name)
		}
		if p != nil {
			n.measured(p, took)
		} else {
			n.far.CompareAndSwap(0, int64(took)) // a seed: the others may be as far
		}
		return nil
	})
	if err != nil {
		panic(err) // the server was made from the same configuration
	}
	return t
}

// ask calls a peer. A peer that failed is not asked until it has answered something, so
// one dead node costs each caller at most one timeout. A timeout that was not a fair wait
// says nothing of the peer.
func (n *Node) ask(ctx context.Context, p *peer, deadline time.Time, fair bool, kind uint8, m transport.Message) error {
	if p.down.Load() {
		return errDown
	}
	err := p.calls.Call(ctx, deadline, kind, m)
	if err != nil && ctx.Err() == nil && (fair || !errors.Is(err, transport.ErrTimeout)) {
		n.failed(p, err)
	}
	return err
}

var errDown = errors.New("cluster: the peer did not answer a moment ago")

// failed judges a failed call, and starts to probe a peer that does not answer.
func (n *Node) failed(p *peer, err error) {
	var remote transport.RemoteError
	if errors.Is(err, transport.ErrBusy) || errors.Is(err, transport.ErrClosed) || errors.As(err, &remote) {
		return // it lives, or we do not
	}
	if p.down.Store(true); !p.retired.Load() && !p.probed.Swap(true) {
		n.spawn(func() { n.probe(p) })
	}
}

// probe asks a peer that is down for a sign of life until it gives one. It has time to be
// connected, and longer than any take: so a peer that is held up is back as soon as it
// goes on. An answer that took long is that of a peer that was held up, or of a wire that
// has become slow: the next one tells, and only that is measured.
func (n *Node) probe(p *peer) {
	var warned atomic.Bool
	sure := false
	warn := time.AfterFunc(missedAfter, func() {
		if p.down.Load() && !p.retired.Load() && time.Since(p.calls.LastHeard()) >= missedAfter {
			warned.Store(true)
			n.log.Warn("a peer does not answer", "peer", p.name, "addr", p.addr, "for", missedAfter)
		}
	})
	for pause := probeMin; p.down.Load() && !p.retired.Load() && n.ctx.Err() == nil; pause = min(2*pause, probeMax) {
		began, deadline := time.Now(), time.Now().Add(wait.Max)
		connected := p.calls.Connected()
		if !connected {
			deadline = deadline.Add(wait.ConnectMax)
		}
		if p.calls.Call(n.ctx, deadline, wire.KindTime, &wire.Time{}) != nil {
			sure = false
			n.sleep(pause)
			continue
		}
		took := time.Since(began)
		if sure = sure || connected && took <= n.waitFor(p); !sure {
			sure = true
			continue
		}
		if connected {
			n.measured(p, took)
		}
		if p.down.Swap(false) {
			n.kick(n.flush)
		}
	}
	if warn.Stop(); warned.Load() && !p.down.Load() {
		n.log.Info("a peer answers again", "peer", p.name, "addr", p.addr)
	}
	if p.probed.Store(false); p.down.Load() && !p.retired.Load() && !p.probed.Swap(true) {
		n.spawn(func() { n.probe(p) }) // it failed again just now
	}
}

// processOf is who introduces itself.
func processOf(h wire.Hello) membership.Process {
	return membership.Process{Name: h.Name, Origin: h.Origin}
}

const schemeMax = 128 // bytes of a foreign ring's scheme that are logged

// hello is how this node introduces itself.
func (n *Node) hello() wire.Hello {
	h := wire.Hello{Scheme: ring.Scheme, Name: n.cfg.Name, Addr: n.addr.String(), Origin: n.origin, IDs: n.hasher.Mark(), Weir: Version}
	if n.quorum != nil {
		h.Voters = n.quorum.list.Marks()
	}
	return h
}
