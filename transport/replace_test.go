package transport

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nameHandler knows its peers: a hello is a name and a process.
type nameHandler struct{ echoHandler }

type someone struct {
	name    string
	process uint64
}

func (s someone) Who() (string, uint64) { return s.name, s.process }

func (someone) hello(name string, process uint64) func() []byte {
	return func() []byte { return binary.BigEndian.AppendUint64([]byte(name), process) }
}

func (nameHandler) Hello(_ net.Addr, b []byte) (any, []byte, error) {
	return someone{string(b[:len(b)-8]), binary.BigEndian.Uint64(b[len(b)-8:])}, nil, nil
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// A storm cuts all links of a server that is full; nothing tells it that its connections
// are dead. All peers come back, and the dead ones are gone.
func TestAllComeBackAfterAStorm(t *testing.T) {
	const peers = 300
	synctest.Test(t, func(t *testing.T) {
		srv, err := NewServer(Config{MaxConns: peers}, nameHandler{})
		require.NoError(t, err)
		network := &memNet{size: 64 << 10, serve: srv.ServeConn}
		connect := func(i, process int) *Peer {
			name := string(rune('a'+i%26)) + string(rune('a'+i/26))
			p, err := NewPeer(Config{Dial: network.dial}, "there", someone{}.hello(name, uint64(process)), nil)
			require.NoError(t, err)
			return p
		}
		var old []*Peer
		for storm := range 4 {
			process := storm / 2 // in every second storm they are new processes
			fresh := make([]*Peer, peers)
			var wg sync.WaitGroup
			for i := range fresh {
				fresh[i] = connect(i, process)
				wg.Go(func() {
					var err error
					for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
						if err = fresh[i].Call(context.Background(), in(time.Second), 1, &echo{}); err == nil {
							return
						}
					}
					assert.NoError(t, err, "storm %d, peer %d", storm, i)
				})
			}
			wg.Wait()
			assert.LessOrEqual(t, srv.open(), keptConns*peers)
			network.mu.Lock()
			conns := slices.Clone(network.conns)
			network.conns = nil
			network.mu.Unlock()
			for _, c := range conns {
				c.setCut(true)
			}
			old = append(old, fresh...)
		}
		srv.Close()
		for _, p := range old {
			p.Close()
		}
	})
}

// The next connection of a process leaves the last one alone, on which calls may be under
// way, and ends the one before; that of a new process ends them all. Others' stay.
func TestWhichConnectionsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := NewServer(Config{}, nameHandler{})
		require.NoError(t, err)
		t.Cleanup(srv.Close)
		network := &memNet{size: 64 << 10, serve: srv.ServeConn}
		var all []*Peer
		connect := func(name string, process uint64) {
			p, err := NewPeer(Config{Dial: network.dial}, "there", someone{}.hello(name, process), nil)
			require.NoError(t, err)
			require.NoError(t, p.Call(context.Background(), in(time.Second), 1, &echo{}))
			all = append(all, p)
			time.Sleep(time.Second)
		}
		live := func() (alive []int) {
			for i, p := range all {
				if p.Connected() {
					alive = append(alive, i)
				}
			}
			return alive
		}
		connect("a", 1)
		connect("b", 1)
		connect("a", 1)
		require.Equal(t, []int{0, 1, 2}, live())
		connect("a", 1)
		require.Equal(t, []int{1, 2, 3}, live())
		connect("a", 2)
		require.Equal(t, []int{1, 4}, live())
		for _, p := range all {
			p.Close()
		}
		time.Sleep(time.Second)
		srv.mu.Lock()
		defer srv.mu.Unlock()
		require.Zero(t, srv.serving)
		require.Empty(t, srv.named)
	})
}
