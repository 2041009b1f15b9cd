package transport_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/weir-go/weir/transport"
)

// sum is a request for the sum of two numbers, and its answer.
type sum struct{ a, b, result uint64 }

func (s *sum) AppendRequest(b []byte) []byte {
	return transport.AppendUint(transport.AppendUint(b, s.a), s.b)
}

func (s *sum) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	s.result = r.Uint()
	return r.Err()
}

// adder serves such requests.
type adder struct{}

func (adder) Hello(_ net.Addr, hello []byte) (any, []byte, error) {
	return string(hello), []byte("adder"), nil
}

func (adder) Serve(_ *transport.Session, _ uint64, _ uint8, body, buf []byte) ([]byte, bool, error) {
	r := transport.NewReader(body)
	result := r.Uint() + r.Uint()
	return transport.AppendUint(buf, result), true, r.Err()
}

func Example() {
	cfg := transport.Config{Secret: []byte("sixteen bytes or more"), Label: "example"}

	srv, err := transport.NewServer(cfg, adder{})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			srv.ServeConn(conn)
		}
	})

	peer, err := transport.NewPeer(cfg, l.Addr().String(), func() []byte { return []byte("me") }, nil)
	if err != nil {
		panic(err)
	}
	m := &sum{a: 40, b: 2}
	err = peer.Call(context.Background(), time.Now().Add(5*time.Second), 1, m)
	fmt.Println(m.result, err)

	peer.Close()
	_ = l.Close()
	accepting.Wait()
	srv.Close()
	fmt.Println(peer.Call(context.Background(), time.Time{}, 1, m))
	// Output:
	// 42 <nil>
	// transport: closed
}
