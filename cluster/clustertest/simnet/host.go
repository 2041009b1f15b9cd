package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// Host is one machine and the one process that runs on it. A process that is to come
// back gets a new Host (see [Host.Restart]), so that goroutines left over from the
// old process cannot act in the new one's name.
type Host struct {
	net  *Network
	name string
	addr netip.Addr

	// All below is guarded by net.mu.
	gone    bool          // crashed: nothing leaves, nothing arrives
	dead    bool          // killed: the kernel is there and refuses, the process is not
	died    chan struct{} // closed by Kill, for those who wait in a dial
	paused  bool
	resumed sync.Cond // paused became false, or something closed
	held    []func()  // closings that a paused process asked for

	listeners map[int]*listener
	sockets   map[int]*packetConn
	conns     map[*conn]struct{}
	listened  int // ports handed out for port 0
	dialed    int // ports handed out to dialers
}

func newHost(n *Network, name string, addr netip.Addr) *Host {
	return &Host{
		net: n, name: name, addr: addr,
		died:      make(chan struct{}),
		resumed:   sync.Cond{L: &n.mu},
		listeners: map[int]*listener{},
		sockets:   map[int]*packetConn{},
		conns:     map[*conn]struct{}{},
	}
}

// Name is what the faults call the host.
func (h *Host) Name() string { return h.name }

// Addr is the host's IP address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Listen opens one port for streams and for packets. addr is "ip:port", the IP being
// the host's or unspecified; port 0 picks one that both are free on.
func (h *Host) Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("simnet: listen %s: %w", addr, err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	// An IPv4 address may be written as IPv6; sockets and maps know one form.
	l, p, err := h.listenLocked(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	if err != nil {
		return nil, nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	return l, p, nil
}

func (h *Host) listenLocked(at netip.AddrPort) (*listener, *packetConn, error) {
	if h.gateLocked(&h.dead); h.dead {
		return nil, nil, net.ErrClosed
	}
	if at.Addr() != h.addr && !at.Addr().IsUnspecified() {
		return nil, nil, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	}
	// Port 0 walks on from the last one handed out, so that a port closed a moment
	// ago is not reused at once: late packets for it must find nobody.
	port := int(at.Port())
	for port == 0 || at.Port() == 0 && h.takenLocked(port) {
		h.listened++
		port = listenPorts + h.listened%(dialPorts-listenPorts)
	}
	if h.takenLocked(port) {
		return nil, nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	bound := netip.AddrPortFrom(at.Addr(), uint16(port))
	l, p := newListener(h, bound), newPacketConn(h, bound)
	h.listeners[port], h.sockets[port] = l, p
	return l, p, nil
}

// takenLocked says whether either half of a port is open. A port is free again only
// when both are closed, since the next Listen needs both.
func (h *Host) takenLocked(port int) bool {
	return h.listeners[port] != nil || h.sockets[port] != nil
}

// Crash makes the machine vanish, as on a power cut: no FIN, no reset, no answer.
// Packets and bytes on their way from and to it are swallowed. What still runs of
// its process sees a dead network, until Kill or Restart ends that too. The host does
// not come back; Restart gives a new one.
func (h *Host) Crash() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.gone = true
	h.unpauseLocked()
	h.net.wiresChangedLocked()
}

// Kill ends the process, as kill -9 does, while the machine stays up: listeners and
// sockets close, peers see their streams reset, later dials are refused. Every call
// of the process that is in progress, and every later one, fails.
func (h *Host) Kill() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.killLocked()
}

func (h *Host) runningLocked() bool { return !h.dead && !h.gone }

func (h *Host) killLocked() {
	if h.dead {
		return
	}
	h.dead = true
	close(h.died)
	h.unpauseLocked()
	for _, l := range h.listeners {
		l.closeLocked()
	}
	for _, p := range h.sockets {
		p.closeLocked()
	}
	for _, c := range inOrder(h.appendConnsLocked(nil)) {
		c.abortLocked()
	}
}

// Restart starts a new process on a machine of the same name and address, after Kill
// or Crash; a process that still runs is killed first. Streams of a crashed host's
// peers are reset when they next send: the new machine knows nothing of them.
func (h *Host) Restart() *Host {
	if !h.crashed() {
		h.Kill()
	}
	return h.net.Host(h.name, h.addr.String())
}

func (h *Host) crashed() bool {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.gone
}

// Pause stops the process, as SIGSTOP does, while its kernel goes on: packets queue
// up to PacketQueue, stream bytes up to SendBuffer, dials to it succeed until the
// backlog is full, and what it had written before still leaves.
//
// The process's goroutines cannot really be stopped. They are held as soon as they
// touch the network: Read, Write, Accept, ReadFrom, WriteTo, Listen and Dial block
// until Resume (or Kill, Crash, or Close of that very thing), and neither deadlines
// nor contexts end them, since a stopped process would not notice these either. Its
// timers and computations go on. Closing works at once on this side, so that a test
// can clean up; the peer learns of it on Resume. And a process that holds a mutex of
// its own across such a call stops the time of a synctest bubble.
func (h *Host) Pause() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.paused = h.runningLocked()
}

// Resume undoes Pause, as SIGCONT does. All that waited is there to be read.
func (h *Host) Resume() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.unpauseLocked()
}

func (h *Host) unpauseLocked() {
	h.paused = false
	// Goodbyes go out before the calls that waited: that is their order in the program.
	held := h.held
	h.held = nil
	for _, f := range held {
		f()
	}
	h.resumed.Broadcast()
}

// gateLocked waits while the process is paused, unless what the caller works on
// is closed. It releases the lock meanwhile.
func (h *Host) gateLocked(closed *bool) {
	for h.paused && !*closed {
		h.resumed.Wait()
	}
}

// whenRunningLocked runs f now, or on Resume if the process is paused.
func (h *Host) whenRunningLocked(f func()) {
	if !h.paused {
		f()
		return
	}
	h.held = append(h.held, f)
	h.resumed.Broadcast() // calls on what was closed need not wait
}

// appendConnsLocked adds the streams that are open, or still have something to say.
func (h *Host) appendConnsLocked(cs []*conn) []*conn {
	for c := range h.conns {
		cs = append(cs, c)
	}
	return cs
}
