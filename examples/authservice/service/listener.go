package service

import (
	"context"
	"net"
)

// listener is where HTTP listens.
type listener struct{ *net.TCPListener }

// listen opens it. Without multipath TCP, whose sockets take no filter.
func listen(ctx context.Context, addr string) (listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	ln, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return listener{}, err
	}
	return listener{ln.(*net.TCPListener)}, nil
}
