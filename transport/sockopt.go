package transport

import (
	"net"
	"time"
)

// A dead peer must be noticed in seconds. Keepalive does that for an idle connection;
// one with unacknowledged bytes on it is left to retransmission, which by default goes
// on for a quarter of an hour, unless userTimeout bounds it.
const (
	keepAliveIdle     = time.Second
	keepAliveInterval = time.Second
	keepAliveCount    = 3
	userTimeout       = 2 * time.Second
)

// tuneSocket sets the options above, as far as conn has a TCP socket underneath. It
// fails silently: a connection without them works, only its death shows later.
func tuneSocket(conn net.Conn) {
	tcp := tcpSocket(conn)
	if tcp == nil {
		return
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable:   true,
		Idle:     keepAliveIdle,
		Interval: keepAliveInterval,
		Count:    keepAliveCount,
	})
	setUserTimeout(tcp)
}

// tcpSocket finds the TCP connection at the bottom of conn, nil where there is none.
func tcpSocket(conn net.Conn) *net.TCPConn {
	for range 8 { // nobody wraps deeper; a cycle would never end
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}
