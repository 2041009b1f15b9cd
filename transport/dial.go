package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// After a failed attempt the next waits: doubling from the first to the last of these,
// less up to a half by chance, so that a cluster does not knock in step.
const (
	backoffMin = 10 * time.Millisecond
	backoffMax = time.Second
)

// errGone: the connection had ended before it took the request. It never leaves the
// package.
var errGone = errors.New("transport: connection is gone")

// dialing is one attempt to connect, for which any number of calls may wait.
type dialing struct {
	done chan struct{} // closed at the end; then the fields below are set
	conn *conn
	err  error // a *CallError
}

// connect returns the connection, and waits for it to be made if need be. Its caller
// counts as waiting until it says that it has gone on.
func (p *Peer) connect(ctx context.Context, deadline time.Time) (*conn, error) {
	p.mu.Lock()
	p.waiting++
	c, d, err := p.dialLocked()
	full := p.waiting > p.cfg.MaxInFlight
	p.mu.Unlock()
	switch {
	case c != nil || err != nil:
		return c, err
	case full:
		return nil, errBusy
	}
	timer := time.NewTimer(time.Until(deadline)) // one per call, but only here
	defer timer.Stop()
	select {
	case <-d.done:
		return d.conn, d.err
	case <-timer.C:
		return nil, errTimeoutUnsent
	case <-ctx.Done():
		return nil, &CallError{Err: context.Cause(ctx)}
	}
}

// goneOn ends the wait that connect began, after what was waited for is under way.
func (p *Peer) goneOn() {
	p.mu.Lock()
	if p.waiting--; p.waiting == 0 && p.calm != nil {
		close(p.calm)
		p.calm = nil
	}
	p.mu.Unlock()
}

// connectLater is for calls that cannot wait: it has a connection made, and returns
// the error for this time.
func (p *Peer) connectLater() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, _, err := p.dialLocked(); err != nil {
		return err
	}
	return errNoConnection
}

// Connect has a connection made where there is none, and does not wait for it.
func (p *Peer) Connect() { _ = p.connectLater() }

// dialLocked returns the connection, or the attempt to make one that is under way or
// begins here, or the error where none may begin.
func (p *Peer) dialLocked() (*conn, *dialing, error) {
	if p.closed {
		return nil, nil, errClosed
	}
	if c := p.conn.Load(); c != nil {
		return c, nil, nil
	}
	if p.dialing == nil {
		if p.down != nil && time.Now().Before(p.retryAt) {
			return nil, nil, p.down
		}
		p.dialing = &dialing{done: make(chan struct{})}
		p.wg.Go(p.dial)
	}
	return nil, p.dialing, nil
}

// dial is the goroutine of one attempt. It belongs to the Peer and not to the call that
// caused it: that call may be gone before the handshake is done, and the next one finds
// the connection made.
func (p *Peer) dial() {
	l, err := p.handshake()
	var c *conn
	if err == nil {
		p.hear()
		c = newConn(p, l)
	}

	p.mu.Lock()
	d := p.dialing
	p.dialing = nil
	switch {
	case p.closed:
		d.err = errClosed
	case err != nil:
		p.failedLocked(err)
		d.err = p.down
	default:
		d.conn = c
		p.err, p.refused = nil, ""
		p.conn.Store(c)
		p.wg.Go(c.read)
		p.wg.Go(c.write)
		p.wg.Go(c.sweep)
	}
	unused := c != nil && d.conn == nil // Close was quicker
	p.mu.Unlock()

	if unused {
		c.timer.Stop()
		_ = c.raw.Close()
	} else if c != nil {
		p.Renew() // for secrets that changed meanwhile
	}
	p.report(err)
	close(d.done)
}

// handshake dials within DialTimeout and introduces this side within HandshakeTimeout.
func (p *Peer) handshake() (link, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.DialTimeout)
	defer cancel()
	raw, err := p.cfg.Dial(ctx, p.addr)
	if err != nil {
		return link{}, err
	}
	tuneSocket(raw)
	// Close ends a handshake that is under way; the deadline ends one that hangs.
	stop := context.AfterFunc(p.ctx, func() { _ = raw.Close() })
	defer stop()
	if err = raw.SetDeadline(time.Now().Add(p.cfg.HandshakeTimeout)); err == nil {
		var l link
		l, err = dialHandshake(&p.cfg, p.cred, raw, hello{body: p.hello()})
		if err == nil {
			err = identify(&p.cfg, l)
		}
		if err == nil && p.welcome != nil {
			err = p.welcome(l.body, l.took)
		}
		if err == nil {
			err = raw.SetDeadline(time.Time{})
		}
		if err == nil {
			return l, nil
		}
	}
	_ = raw.Close()
	return link{}, err
}

// failedLocked notes that an attempt led to nothing, and when the next may be made.
func (p *Peer) failedLocked(err error) {
	p.err = err
	p.down = &CallError{Err: fmt.Errorf("%w: %s: %w", ErrUnreachable, p.addr, err)}
	wait := min(backoffMin<<min(p.fails, 10), backoffMax)
	wait -= rand.N(wait/2 + 1)
	p.retryAt = time.Now().Add(wait)
	p.fails++
}

// lost forgets a connection that has ended. One on which something sensible was
// received was worth having: the next call may dial at once. A peer that takes
// connections only to drop them is one that cannot be reached.
func (p *Peer) lost(c *conn, cause error) {
	p.mu.Lock()
	if p.conn.CompareAndSwap(c, nil) {
		if c.heard.Load() == 0 || errors.Is(cause, ErrProtocol) {
			p.failedLocked(cause)
		} else {
			p.err, p.down, p.fails = cause, nil, 0
		}
	}
	p.mu.Unlock()
	p.report(cause)
}

// report logs a refusal, once per change: an operator must see it, and it comes again
// with every attempt.
func (p *Peer) report(err error) {
	refusal, ok := errors.AsType[*RefusedError](err)
	var reason string
	switch {
	case ok:
		reason = refusal.Reason
	case errors.Is(err, ErrProof), errors.Is(err, ErrProtocol), errors.Is(err, ErrCertificate):
		reason = err.Error()
	default:
		return
	}
	p.mu.Lock()
	news := reason != p.refused
	p.refused = reason
	p.mu.Unlock()
	if news {
		p.cfg.Logger.Warn("transport: no connection to peer", "peer", p.addr, "reason", reason)
	}
}
