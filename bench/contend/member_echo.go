package contend

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"time"
)

// startTimeout bounds how long opening a member may take.
const startTimeout = 10 * time.Second

// echoSize is about a take, or its answer, on the wire.
const echoSize = 48

// echoMember is no limiter but the floor for all of them: it sends some bytes over
// the kind of connection that weir uses, and gets them back. One caller at a time.
type echoMember struct {
	client
	l       net.Listener
	conf    *tls.Config // nil is plain
	mu      sync.Mutex  // guards conn
	conn    net.Conn
	message [echoSize]byte
}

// startEcho opens a member that echoes for others. The first to be met is the
// server; the others dial it.
func startEcho(s Setup) (Member, error) {
	m := &echoMember{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if s.Kind == EchoTLS {
		if m.conf, err = throwAway(); err != nil {
			return nil, err
		}
		l = tls.NewListener(l, m.conf)
	}
	m.l = l
	go m.serve()
	return m, nil
}

// serve ends when the listener is closed.
func (m *echoMember) serve() {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			b := make([]byte, echoSize)
			for {
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}()
	}
}

func (m *echoMember) Addr() string { return m.l.Addr().String() }

// Meet dials the first other member.
func (m *echoMember) Meet(ctx context.Context, addrs []string) error {
	for _, a := range addrs {
		if a == m.Addr() {
			continue
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", a)
		if err != nil {
			return err
		}
		if m.conf != nil {
			c = tls.Client(c, m.conf)
		}
		m.conn = c
		return nil
	}
	return nil
}

func (m *echoMember) Taker(Budget) Take {
	return func(string) (bool, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if _, err := m.conn.Write(m.message[:]); err != nil {
			return false, err
		}
		_, err := io.ReadFull(m.conn, m.message[:])
		return true, err
	}
}

// Close ends the server, and so its connections.
func (m *echoMember) Close() {
	_ = m.l.Close()
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

// throwAway is TLS 1.3 with a certificate that nobody checks, as weir's own
// connections have: they prove the secret in another way.
func throwAway() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the echo has nothing to hide, and no peer to know
	}, nil
}
