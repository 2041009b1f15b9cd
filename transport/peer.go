package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Message is a request that knows how to read its answer. Its user keeps it until the
// call is over, and may then use it again.
type Message interface {
	// AppendRequest appends the body of the request to b and returns it. It runs under
	// the connection's lock: it must not block, and must not use the Peer.
	AppendRequest(b []byte) []byte
	// ReadAnswer reads the body of the answer, which is valid during the call only. It
	// runs on the connection's reading goroutine, and must not block.
	ReadAnswer(body []byte) error
}

// LateMessage is a Message that wants to know what became of a call that timed out after
// it was sent: the peer may have acted on it.
type LateMessage interface {
	Message
	// Late is called when such a call ends, before its caller is told. It returns nil, or
	// a function that is called once: with the body of the answer if that comes after
	// all, with the error that came in place of one, or with [ErrLost] if the connection
	// ends first. Both run on a goroutine of the connection, Late under its lock; they
	// must not block, and must not use the Peer. As many are kept as calls may be under
	// way; of more, nobody hears.
	Late() func(body []byte, err error)
}

// Peer calls one other process. It connects when first needed, keeps one connection,
// and connects again when that is lost. It is safe for concurrent use.
type Peer struct {
	cfg     Config
	cred    *credentials
	addr    string
	hello   func() []byte
	welcome func(reply []byte, took time.Duration) error

	conn  atomic.Pointer[conn] // nil while there is none
	epoch time.Time
	heard atomic.Int64 // when anything was last received, in nanoseconds since epoch; 0: never

	ctx    context.Context // ends with Close; the dialling goroutine's
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of this Peer

	mu       sync.Mutex // guards what follows; never held together with a conn's
	closed   bool
	dialing  *dialing
	renewing bool          // renew runs
	waiting  int           // calls that wait for dialing, or have just done so
	calm     chan struct{} // closed when none waits; nil: nobody wants to know
	fails    int           // attempts in a row that led to nothing
	retryAt  time.Time     // no attempt before
	down     error         // what calls get until then; a *CallError
	err      error         // why there is no connection
	refused  string        // the refusal that was logged last
}

// NewPeer returns a Peer for addr, and connects to nobody yet. hello gives the bytes
// with which this side introduces itself on each new connection; welcome, which may be
// nil, judges the reply and hears how long that took to come, which is one round trip. A
// connection that it returns an error for is not used. Both run on a goroutine of the
// Peer, and must not close it.
func NewPeer(cfg Config, addr string, hello func() []byte, welcome func(reply []byte, took time.Duration) error) (*Peer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cred, err := newCredentials(&cfg, false)
	if err != nil {
		return nil, err
	}
	p := &Peer{cfg: cfg, cred: cred, addr: addr, hello: hello, welcome: welcome, epoch: time.Now()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Call sends m as a request of the given kind and waits for the answer, until the
// deadline and no longer, or until ctx ends. A zero deadline means
// [Config.CallTimeout] from now. Without a connection it connects first, and waits for
// that as part of the same deadline. The error is nil or a *[CallError].
func (p *Peer) Call(ctx context.Context, deadline time.Time, kind uint8, m Message) error {
	if deadline.IsZero() {
		deadline = time.Now().Add(p.cfg.CallTimeout)
	}
	cancelled := ctx.Done()
	if cancelled != nil && ctx.Err() != nil {
		return &CallError{Err: context.Cause(ctx)}
	}
	c, s, id, err := p.begin(ctx, deadline, kind, m)
	if err != nil {
		return err
	}
	if cancelled == nil {
		<-s.ready
	} else {
		select {
		case <-s.ready:
		case <-cancelled:
			return c.cancel(s, id, context.Cause(ctx))
		}
	}
	err = s.err
	c.give(s)
	return err
}

// begin sends m on the connection, of which there may be none yet. A connection that
// turns out to be dead has taken nothing, so the request goes to the next one.
func (p *Peer) begin(ctx context.Context, deadline time.Time, kind uint8, m Message) (*conn, *slot, uint64, error) {
	for range 3 {
		c := p.conn.Load()
		if c == nil {
			return p.beginLater(ctx, deadline, kind, m)
		}
		s, id, err := c.send(deadline, kind, m, nil)
		if err != errGone {
			return c, s, id, err
		}
	}
	return nil, nil, 0, errNoConnection
}

// beginLater is begin where there is no connection yet.
func (p *Peer) beginLater(ctx context.Context, deadline time.Time, kind uint8, m Message) (*conn, *slot, uint64, error) {
	defer p.goneOn()
	c, err := p.connect(ctx, deadline)
	if err != nil {
		return nil, nil, 0, err
	}
	s, id, err := c.send(deadline, kind, m, nil)
	if err == errGone {
		err = errNoConnection
	}
	return c, s, id, err
}

// Start is Call without the waiting: done, which may be nil, is called with the
// outcome, once, unless Start returns an error. Start never blocks: where there is no
// connection, or a limit is reached, it returns a *[CallError] at once (and sees to it
// that a connection is made). The requests of one Peer leave in the order of Start and
// Call.
//
// done runs on a goroutine of the connection, after ReadAnswer: it must not block, and
// must not close the Peer. It may Start another call.
func (p *Peer) Start(deadline time.Time, kind uint8, m Message, done func(error)) error {
	if deadline.IsZero() {
		deadline = time.Now().Add(p.cfg.CallTimeout)
	}
	if done == nil {
		done = func(error) {} // without one, the slot would wait for a caller
	}
	c := p.conn.Load()
	if c == nil {
		return p.connectLater()
	}
	_, _, err := c.send(deadline, kind, m, done)
	if err == errGone {
		return p.connectLater()
	}
	return err
}

// Addr returns the address that NewPeer was given.
func (p *Peer) Addr() string { return p.addr }

// Connected reports whether there is a connection, as far as is known.
func (p *Peer) Connected() bool { return p.conn.Load() != nil }

// Err returns why there is no connection: a failed attempt to make one (a
// *[RefusedError] among the causes where the other side said no), or how the last one
// ended. It is nil while there is a connection and before the first attempt.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// LastHeard returns when anything was last received from the peer: a sign of life. It
// is the zero time if nothing ever was.
func (p *Peer) LastHeard() time.Time {
	at := p.heard.Load()
	if at == 0 {
		return time.Time{}
	}
	return p.epoch.Add(time.Duration(at))
}

func (p *Peer) hear() { p.heard.Store(int64(max(time.Since(p.epoch), 1))) }

// Retire is Close when the calls under way have had their answers, or have ended
// without, and those that were given up have had theirs; or when ctx ends.
// The user begins no more calls, and calls it once.
func (p *Peer) Retire(ctx context.Context) {
	p.mu.Lock()
	calm := make(chan struct{})
	if p.waiting == 0 {
		close(calm)
	} else {
		p.calm = calm
	}
	p.mu.Unlock()
	select {
	case <-calm:
	case <-ctx.Done():
	}
	if c := p.conn.Load(); c != nil {
		select {
		case <-c.whenIdle():
		case <-c.dead:
		case <-ctx.Done():
		}
	}
	p.Close()
}

// Close ends the connection, fails every call under way with [ErrClosed], and waits for
// all goroutines of the Peer. Later calls fail with ErrClosed.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	c := p.conn.Load()
	p.mu.Unlock()
	p.cancel()
	if c != nil {
		c.fail(ErrClosed)
	}
	p.wg.Wait()
}
