package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// funcHandler is a Handler made of functions; nil ones do as echoHandler does.
type funcHandler struct {
	hello func(remote net.Addr, hello []byte) (any, []byte, error)
	serve func(s *Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error)
}

func (h funcHandler) Hello(remote net.Addr, hello []byte) (any, []byte, error) {
	if h.hello == nil {
		return nil, nil, nil
	}
	return h.hello(remote, hello)
}

func (h funcHandler) Serve(s *Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
	if h.serve == nil {
		return append(buf, body...), true, nil
	}
	return h.serve(s, id, kind, body, buf)
}

// lab is a server and a peer on a network in memory, for use in a bubble.
type lab struct {
	srv  *Server
	net  *memNet
	peer *Peer
	logs *logBook // of both
}

// logBook keeps what is logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

// newLab connects a server and a peer of these configurations. stop must be called at
// the end of the bubble.
func newLab(t *testing.T, server, peer Config, h Handler) (l *lab, stop func()) {
	l = &lab{logs: &logBook{}}
	logger := slog.New(slog.NewTextHandler(l.logs, nil))
	server.Logger, peer.Logger = logger, logger
	var err error
	l.srv, err = NewServer(server, h)
	require.NoError(t, err)
	l.net = &memNet{size: 64 << 10, serve: l.srv.ServeConn}
	peer.Dial = l.net.dial
	l.peer, err = NewPeer(peer, "there", func() []byte { return []byte("it is me") }, nil)
	require.NoError(t, err)
	return l, func() {
		l.peer.Close()
		l.srv.Close()
	}
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// call makes one call and returns its error.
func (l *lab) call() error {
	return l.peer.Call(context.Background(), in(time.Second), 1, &echo{body: []byte("x")})
}

func TestHandshakeOutcomes(t *testing.T) {
	secret, other := []byte("a secret of sixteen"), []byte("another of sixteen!")
	for _, c := range []struct {
		name         string
		server, peer Config
		hello        error
		reason       string // what the dialer gets; empty: a connection
		version      bool
	}{
		{name: "plain"},
		{name: "same secret", server: Config{Secret: secret}, peer: Config{Secret: secret}},
		{name: "same label", server: Config{Label: "a"}, peer: Config{Label: "a"}},
		{name: "wrong secret", server: Config{Secret: secret}, peer: Config{Secret: other}, reason: "the secrets differ"},
		{name: "no secret", server: Config{Secret: secret}, reason: "the listener has a secret and the dialer has none"},
		{name: "secret not wanted", peer: Config{Secret: secret}, reason: "the dialer has a secret and the listener has none"},
		{name: "label", server: Config{Label: "prod"}, peer: Config{Label: "dev"}, reason: `the dialer has "dev", the listener "prod"`},
		{name: "label under a secret", server: Config{Label: "prod", Secret: secret}, peer: Config{Secret: secret}, reason: `the dialer has "", the listener "prod"`},
		{name: "older dialer", server: Config{minors: minors{3, 4}}, peer: Config{minors: minors{1, 2}}, reason: "the dialer speaks 1.1-1.2, the listener 1.3-1.4", version: true},
		{name: "newer dialer", server: Config{minors: minors{1, 2}}, peer: Config{minors: minors{3, 4}}, reason: "the dialer speaks 1.3-1.4, the listener 1.1-1.2", version: true},
		{name: "overlap", server: Config{minors: minors{1, 3}}, peer: Config{minors: minors{2, 9}}},
		{name: "handler", hello: errors.New("your ring is not mine"), reason: "your ring is not mine"},
		{name: "handler, for the version", hello: VersionError("your ring is old"), reason: "your ring is old", version: true},
		{name: "long reason", hello: errors.New(strings.Repeat("ü", 200)), reason: strings.Repeat("ü", MaxReason/2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := newLab(t, c.server, c.peer, funcHandler{hello: func(_ net.Addr, hello []byte) (any, []byte, error) {
					assert.Equal(t, "it is me", string(hello))
					return nil, nil, c.hello
				}})
				defer stop()
				err := l.call()
				if c.reason == "" {
					assert.NoError(t, err)
					assert.NoError(t, l.peer.Err())
					return
				}
				refusal, ok := errors.AsType[*RefusedError](err)
				require.True(t, ok, "%v", err)
				assert.Contains(t, refusal.Reason, c.reason)
				assert.Equal(t, c.version, refusal.Version)
				assert.LessOrEqual(t, len(refusal.Reason), MaxReason)
				assert.ErrorIs(t, err, ErrUnreachable)
				assert.False(t, err.(*CallError).Sent)
				refusal, ok = errors.AsType[*RefusedError](l.peer.Err())
				require.True(t, ok)
				assert.Contains(t, refusal.Reason, c.reason)
				synctest.Wait()
				assert.Equal(t, 1, l.logs.count("no connection to peer"), "the dialer says so")
				assert.Equal(t, 1, l.logs.count("refused a connection"), "and so does the listener")
				assert.Zero(t, l.logs.count(string(secret))+l.logs.count(string(other)))
			})
		})
	}
}

func TestRefusalIsLoggedOncePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := "first"
		l, stop := newLab(t, Config{}, Config{}, funcHandler{hello: func(net.Addr, []byte) (any, []byte, error) {
			return nil, nil, errors.New(reason)
		}})
		defer stop()
		for range 5 {
			require.Error(t, l.call())
			time.Sleep(2 * time.Second)
		}
		assert.Equal(t, 5, l.net.dialled())
		assert.Equal(t, 1, l.logs.count("no connection to peer"))
		reason = "second"
		require.Error(t, l.call())
		synctest.Wait()
		assert.Equal(t, 2, l.logs.count("no connection to peer"))
	})
}

func TestHelloAndReplyReachTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type identity struct{ name string }
		srv, err := NewServer(Config{Secret: []byte("s")}, funcHandler{
			hello: func(_ net.Addr, hello []byte) (any, []byte, error) {
				return &identity{string(hello)}, []byte("welcome"), nil
			},
			serve: func(s *Session, _ uint64, _ uint8, _, buf []byte) ([]byte, bool, error) {
				return append(buf, s.Value().(*identity).name...), true, nil
			},
		})
		require.NoError(t, err)
		defer srv.Close()
		n := &memNet{size: 1 << 16, serve: srv.ServeConn}
		var reply string
		var judge error
		peer, err := NewPeer(Config{Secret: []byte("s"), Dial: n.dial}, "there",
			func() []byte { return []byte("node 7") },
			func(b []byte, _ time.Duration) error { reply = string(b); return judge })
		require.NoError(t, err)
		defer peer.Close()

		judge = errors.New("not the node I meant")
		m := &echo{}
		err = peer.Call(context.Background(), time.Time{}, 1, m)
		assert.ErrorIs(t, err, judge)
		assert.False(t, peer.Connected())

		judge = nil
		time.Sleep(time.Second)
		require.NoError(t, peer.Call(context.Background(), time.Time{}, 1, m))
		assert.Equal(t, "welcome", reply)
		assert.Equal(t, "node 7", string(m.answer))
		assert.True(t, peer.Connected())
	})
}

// TestRelayGainsNothing puts a man in the middle who ends TLS on both sides and passes
// on every byte: the proofs are bound to the channel, so neither side believes him.
func TestRelayGainsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := []byte("a secret of sixteen")
		l, stop := newLab(t, Config{Secret: secret}, Config{Secret: secret}, echoHandler{})
		defer stop()
		cred, err := newCredentials(&Config{Keyring: NewKeyring([]byte("the relay's own, for the certificate"))}, true)
		require.NoError(t, err)
		var relays sync.WaitGroup
		defer relays.Wait()
		served := l.net.serve
		l.net.serve = func(dialer net.Conn) {
			a, b := memPair(64 << 10)
			served(b)
			relays.Go(func() { relay(dialer, a, cred.tls) })
		}
		err = l.call()
		refusal, ok := errors.AsType[*RefusedError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, statusWrongSecret.reason(), refusal.Reason)
	})
}

// relay passes on the preface and its status, and then what is inside of two TLS
// channels.
func relay(dialer, listener net.Conn, cfg *tls.Config) {
	defer func() { _, _ = dialer.Close(), listener.Close() }()
	head := make([]byte, prefaceLen)
	_, _ = io.ReadFull(listener, head[:greetingLen])
	_, _ = dialer.Write(head[:greetingLen])
	_, _ = io.ReadFull(dialer, head)
	_, _ = listener.Write(head)
	_, _ = io.ReadFull(listener, head[:1])
	_, _ = dialer.Write(head[:1])
	inside, outside := tls.Server(dialer, cfg), tls.Client(listener, cfg)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(outside, inside); _ = listener.Close() })
	_, _ = io.Copy(inside, outside)
	_ = dialer.Close()
	wg.Wait()
}

// TestReflectedProofIsNone plays a listener that does not know the secret, accepts any
// proof, and sends back what it got.
func TestReflectedProofIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{Secret: []byte("a secret of sixteen")}, echoHandler{})
		defer stop()
		cred, err := newCredentials(&Config{Keyring: NewKeyring([]byte("x"))}, true)
		require.NoError(t, err)
		var impostors sync.WaitGroup
		defer impostors.Wait()
		l.net.serve = func(c net.Conn) {
			impostors.Go(func() {
				defer func() { _ = c.Close() }()
				_, _ = c.Write(make([]byte, greetingLen))
				_, _ = io.ReadFull(c, make([]byte, prefaceLen))
				_, _ = c.Write([]byte{byte(statusGo)})
				conn := tls.Server(c, cred.tls)
				proof := make([]byte, proofLen)
				_, _ = io.ReadFull(conn, proof)
				_, _ = conn.Write(append([]byte{byte(statusGo)}, proof...))
				_, _ = io.Copy(io.Discard, conn)
			})
		}
		assert.ErrorIs(t, l.call(), ErrProof)
		assert.ErrorIs(t, l.peer.Err(), ErrProof)
		synctest.Wait()
		assert.Equal(t, 1, l.logs.count("no connection to peer"))
	})
}

func TestOtherMajorVersionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		a, b := memPair(64)
		l.srv.ServeConn(b)
		_, err := a.Write([]byte("weir\x02\x00"))
		require.NoError(t, err)
		got, err := io.ReadAll(a)
		require.NoError(t, err)
		got = got[greetingLen:]
		assert.Equal(t, []byte{byte(statusVersion)}, got)
		assert.Error(t, readStatus(bytes.NewReader(got)))
	})
}

func TestHandshakeHasOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		a, b := memPair(64)
		begin := time.Now()
		l.srv.ServeConn(b)
		go func() { // one byte at a time, so that every read succeeds
			for i := range 100 {
				if _, err := a.Write([]byte("weir\x01\x00" + strings.Repeat("x", 94))[i : i+1]); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		_, err := io.ReadAll(a)
		require.NoError(t, err)
		assert.Equal(t, doorPatient, time.Since(begin))
		assert.Equal(t, Turned{Silent: 1}, l.srv.Turned())

		l.net.serve = func(c net.Conn) { time.AfterFunc(time.Minute, func() { _ = c.Close() }) }
		begin = time.Now()
		err = l.peer.Call(context.Background(), in(time.Minute), 1, &echo{})
		assert.ErrorIs(t, err, ErrUnreachable)
		assert.Equal(t, 5*time.Second, time.Since(begin), "a listener that says nothing")
		time.Sleep(time.Minute)
	})
}

// Whoever is silent gives its place to who comes later, and who answers at once gets in,
// however many there are.
func TestFloodOfHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		require.NoError(t, l.call(), "this one is in")
		silent := func() *memConn {
			a, b := memPair(64)
			l.srv.ServeConn(b)
			return a
		}
		var idle []*memConn
		begin := time.Now()
		for i := range 300 {
			idle = append(idle, silent())
			if i%100 == 0 {
				synctest.Wait()
				_ = admitted(t, l.srv, 64).Close()
			}
		}
		synctest.Wait()
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, int64(300-doorSource), l.srv.Turned().Crowded)
		assert.NoError(t, l.call(), "whoever is in does not notice")
		assert.Equal(t, 1, l.logs.count("turned a connection away"), "and no disk fills up")
		for i, a := range idle[300-doorSource:] {
			_, err := io.ReadAll(a)
			assert.NoError(t, err)
			assert.LessOrEqual(t, time.Since(begin), doorQuick, "%d", i)
		}
		for _, a := range idle {
			_ = a.Close()
		}
		synctest.Wait()
		assert.Equal(t, Turned{Crowded: 300 - doorSource, Silent: doorSource}, l.srv.Turned())
		assert.Empty(t, l.srv.door.sources)
	})
}

// A flood from many places leaves the places of known addresses alone, one source has no more
// than its share, and each has its time.
func TestDoor(t *testing.T) {
	d := door{sources: map[netip.Addr]int{}, known: func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") }}
	conn := func(ip string) (net.Conn, int, netip.Addr) {
		c := &from{addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1))}
		addr, source := source(c)
		return c, d.class(addr), source
	}
	now := time.Now()
	enter := func(c net.Conn, class int, source netip.Addr) (out net.Conn, most time.Duration) {
		out = d.enter(c, class, source, now, time.Hour)
		return out, d.places[class][len(d.places[class])-1].until.Sub(now)
	}
	member, class, source := conn("10.0.0.1")
	out, most := enter(member, class, source)
	require.Nil(t, out)
	require.Equal(t, doorPatient, most)
	var first net.Conn
	for i := range doorSource {
		c, class, source := conn(fmt.Sprintf("2001:db8::%x", i))
		out, most = enter(c, class, source)
		require.Nil(t, out)
		if first == nil {
			first = c
		}
	}
	require.Equal(t, doorQuick, most)
	c, class, source := conn("2001:db8::ffff")
	out, _ = enter(c, class, source)
	require.Same(t, first, out, "one network displaces itself")
	for i := range 1000 {
		c, class, source := conn(fmt.Sprintf("10.1.%d.%d", i/250, i%250))
		enter(c, class, source)
	}
	require.Len(t, d.places[1], doorOthers)
	one := d.places[1][0].source
	require.Equal(t, 1, d.sources[one])
	other, class, source := conn("10.1.3.250")
	enter(other, class, source)
	for range 2 * doorSource {
		c, class, source := conn("10.2.0.1")
		enter(c, class, source)
	}
	require.True(t, d.leave(other), "who has one place keeps it beside a source that has many")
	require.True(t, d.leave(member), "a member keeps its place")
	require.False(t, d.leave(member))
	require.False(t, d.leave(first))
}

type from struct {
	net.Conn
	addr net.Addr
}

func (f *from) RemoteAddr() net.Addr { return f.addr }

// The listener lets nobody begin TLS who has not answered its own nonce, and says nothing that
// depends on the secret.
func TestDoorComesBeforeTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{Secret: []byte("a secret of sixteen")}, Config{}, echoHandler{})
		defer stop()
		cred, err := newCredentials(&Config{Keyring: NewKeyring([]byte("a secret of sixteen"))}, false)
		require.NoError(t, err)
		other, err := newCredentials(&Config{Keyring: NewKeyring([]byte("another secret"))}, false)
		require.NoError(t, err)
		say := func(cred *credentials, stale bool) []byte {
			a, b := memPair(1 << 10)
			defer func() { _ = a.Close() }()
			l.srv.ServeConn(b)
			greeting := make([]byte, greetingLen)
			_, err := io.ReadFull(a, greeting)
			require.NoError(t, err)
			if stale {
				greeting[5] ^= 1
			}
			_, err = a.Write(preface(cred, greeting))
			require.NoError(t, err)
			got := make([]byte, 1)
			_, err = io.ReadFull(a, got)
			require.NoError(t, err)
			return got
		}
		assert.Equal(t, []byte{byte(statusGo)}, say(cred, false))
		assert.Equal(t, []byte{byte(statusWrongSecret)}, say(cred, true), "what answered another nonce")
		assert.Equal(t, []byte{byte(statusWrongSecret)}, say(other, false))
		assert.Equal(t, []byte{byte(statusNeedsSecret)}, say(nil, false))
		synctest.Wait()
		assert.Equal(t, Turned{WrongSecret: 3}, l.srv.Turned())
	})
}

func TestMaxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{MaxConns: 1}, Config{}, echoHandler{})
		defer stop()
		require.NoError(t, l.call())
		second, err := NewPeer(Config{Dial: l.net.dial}, "there", noHello, nil)
		require.NoError(t, err)
		defer second.Close()
		err = second.Call(context.Background(), time.Time{}, 1, &echo{})
		_, ok := errors.AsType[*RefusedError](err)
		assert.True(t, ok, "%v", err)
		l.peer.Close()
		time.Sleep(time.Second)
		assert.NoError(t, second.Call(context.Background(), time.Time{}, 1, &echo{}))
	})
}

func TestConfigIsJudged(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Label is 256":            {Label: strings.Repeat("x", 256)},
		"MaxInFlight is -1":       {MaxInFlight: -1},
		"MaxInFlight is 65537":    {MaxInFlight: maxSlots + 1},
		"MaxBuffer is 10":         {MaxBuffer: 10},
		"MaxConns is -5":          {MaxConns: -5},
		"MaxHandshakes is -1":     {MaxHandshakes: -1},
		"HandshakeTimeout is -1s": {HandshakeTimeout: -time.Second},
		"CallTimeout is -1s":      {CallTimeout: -time.Second},
		"WriteTimeout is -1s":     {WriteTimeout: -time.Second},
	} {
		cfg.Secret = []byte("do not print me")
		_, err := NewPeer(cfg, "", noHello, nil)
		assert.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "do not")
		_, err = NewServer(cfg, echoHandler{})
		assert.ErrorContains(t, err, name)
	}
}

// Certificates come beside a secret, and by a CA that somebody chose.
func TestValidatesCertificates(t *testing.T) {
	for want, cfg := range map[string]Config{
		"TLS needs a secret":                    {TLS: &tls.Config{RootCAs: x509.NewCertPool()}},
		"TLS has neither RootCAs nor ClientCAs": {TLS: &tls.Config{}, Secret: []byte("do not print me")},
	} {
		_, err := NewPeer(cfg, "", noHello, nil)
		assert.ErrorContains(t, err, want)
		_, err = NewServer(cfg, echoHandler{})
		assert.ErrorContains(t, err, want)
	}
}
