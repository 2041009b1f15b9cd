package transport

import (
	"context"
	"fmt"
	"net"
	"time"
)

// DialStream makes a connection that carries no calls: after the handshake, in which both
// sides prove the secret, it is the caller's, and at the other end that of [Config.Streams].
// ctx bounds all of it, and HandshakeTimeout the handshake; the connection that it returns has
// no deadline.
func DialStream(ctx context.Context, cfg Config, addr string) (net.Conn, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cred, err := newCredentials(&cfg, false)
	if err != nil {
		return nil, err
	}
	raw, err := cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	tuneSocket(raw)
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err = raw.SetDeadline(time.Now().Add(cfg.HandshakeTimeout)); err == nil {
		var l link
		l, err = dialHandshake(&cfg, cred, raw, hello{stream: true})
		if err == nil {
			err = raw.SetDeadline(time.Time{})
		}
		if err == nil && ctx.Err() == nil {
			return l.conn, nil
		}
	}
	_ = raw.Close()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("transport: stream to %s: %w", addr, err)
}

// takeStream gives a stream whose handshake is done to its user. The server has nothing to
// do with it any more.
func (s *Server) takeStream(raw net.Conn, l link) {
	s.mu.Lock()
	delete(s.conns, raw)
	closed := s.closed
	s.mu.Unlock()
	if closed || s.cred != nil && !s.cred.ring.has(l.key) {
		_ = raw.Close()
		return
	}
	s.cfg.Streams(l.conn)
}
