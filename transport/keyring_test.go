package transport

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var oldSecret, newSecret = []byte("the old secret, of bytes"), []byte("the new secret, of bytes")

// rings is a lab whose two sides have secrets that change.
type rings struct {
	*lab
	server, dialer *Keyring
	dials          atomic.Int64
}

func newRings(t *testing.T, h Handler, server, dialer *Keyring) (r *rings, stop func()) {
	r = &rings{server: server, dialer: dialer}
	r.lab, stop = newLab(t, Config{Keyring: server}, Config{Keyring: dialer}, h)
	serve := r.net.serve
	r.net.serve = func(c net.Conn) { r.dials.Add(1); serve(c) }
	return r, stop
}

// An old secret becomes a new one, step by step, on one connection, while a call is under way
// that is answered at the very end. Then the old one opens nothing.
func TestSecretsChangeOnAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held *Session
		var heldID uint64
		r, stop := newRings(t, funcHandler{serve: func(s *Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
			if kind == 2 {
				held, heldID = s, id
				return buf, false, nil
			}
			return append(buf, body...), true, nil
		}}, NewKeyring(oldSecret), NewKeyring(oldSecret))
		defer stop()
		require.NoError(t, r.call())
		outcome := make(chan error, 1)
		go func() {
			outcome <- r.peer.Call(context.Background(), in(time.Minute), 2, &echo{body: []byte("x")})
		}()
		synctest.Wait()
		for _, step := range []struct{ server, dialer [][]byte }{
			{[][]byte{oldSecret, newSecret}, [][]byte{oldSecret, newSecret}},
			{[][]byte{newSecret, oldSecret}, [][]byte{newSecret, oldSecret}},
			{[][]byte{newSecret}, [][]byte{newSecret}},
		} {
			r.server.Set(step.server...)
			r.srv.Renew()
			r.dialer.Set(step.dialer...)
			r.peer.Renew()
			require.NoError(t, r.call())
			synctest.Wait()
		}
		require.NoError(t, held.Answer(heldID, []byte("x"), nil))
		require.NoError(t, <-outcome)
		assert.EqualValues(t, 1, r.dials.Load(), "one connection lives through it")

		late, err := NewPeer(Config{Secret: oldSecret, Dial: r.net.dial}, "there", noHello, nil)
		require.NoError(t, err)
		defer late.Close()
		assert.ErrorContains(t, late.Call(context.Background(), in(time.Second), 1, &echo{}), statusWrongSecret.reason())
	})
}

// A connection that was made with a secret which is not accepted any more ends, on the side
// that took it and on the side that made it, and no other is made with it.
func TestARevokedSecretEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := newRings(t, echoHandler{}, NewKeyring(newSecret, oldSecret), NewKeyring(oldSecret))
		defer stop()
		require.NoError(t, r.call())
		r.server.Set(newSecret)
		require.NoError(t, r.call(), "nobody has looked yet")
		r.srv.Renew()
		synctest.Wait()
		assert.False(t, r.peer.Connected())
		assert.ErrorContains(t, r.call(), statusWrongSecret.reason())
	})
	synctest.Test(t, func(t *testing.T) { // who took it stays with the old one
		r, stop := newRings(t, echoHandler{}, NewKeyring(oldSecret), NewKeyring(oldSecret))
		defer stop()
		require.NoError(t, r.call())
		r.dialer.Set(newSecret)
		r.peer.Renew()
		synctest.Wait()
		assert.False(t, r.peer.Connected())
		assert.ErrorContains(t, r.call(), statusWrongSecret.reason())
	})
}

// A dialer that is ahead goes on with the secret that both know, says so once, and follows when
// the other side has the new one. It is the same for a connection made while the secrets change.
func TestADialerAheadOfTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := newRings(t, echoHandler{}, NewKeyring(oldSecret), NewKeyring(oldSecret))
		defer stop()
		require.NoError(t, r.call())
		r.dialer.Set(newSecret, oldSecret)
		for range 60 {
			r.peer.Renew()
			require.NoError(t, r.call())
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, r.logs.count("does not accept the dialer's first secret yet"))
		r.server.Set(oldSecret, newSecret)
		time.Sleep(renewMax)
		r.server.Set(newSecret)
		r.srv.Renew()
		require.NoError(t, r.call())
		assert.EqualValues(t, 1, r.dials.Load())
	})
	synctest.Test(t, func(t *testing.T) {
		r, stop := newRings(t, funcHandler{hello: func(net.Addr, []byte) (any, []byte, error) {
			time.Sleep(10 * time.Millisecond) // the secret has been proved by now
			return nil, nil, nil
		}}, NewKeyring(newSecret, oldSecret), NewKeyring(oldSecret))
		defer stop()
		r.peer.Connect()
		time.Sleep(5 * time.Millisecond)
		require.False(t, r.peer.Connected())
		r.dialer.Set(newSecret, oldSecret)
		r.peer.Renew()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		r.server.Set(newSecret)
		r.srv.Renew()
		require.NoError(t, r.call())
		assert.EqualValues(t, 1, r.dials.Load())
	})
}

// rawMessage is a request as somebody else's program would make it.
type rawMessage struct {
	body   []byte
	answer []byte
}

func (m *rawMessage) AppendRequest(b []byte) []byte { return append(b, m.body...) }

func (m *rawMessage) ReadAnswer(b []byte) error {
	m.answer = append([]byte(nil), b...)
	return nil
}

// What is no proof changes nothing, never reaches the handler, and gets no proof in return.
func TestNoProofOnAConnection(t *testing.T) {
	for name, ring := range map[string]*Keyring{"with a secret": NewKeyring(oldSecret), "without": nil} {
		synctest.Test(t, func(t *testing.T) {
			r, stop := newRings(t, funcHandler{serve: func(_ *Session, _ uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
				assert.NotEqual(t, kindProve, int(kind))
				return append(buf, body...), true, nil
			}}, ring, ring)
			defer stop()
			for _, body := range [][]byte{nil, {0xc4}, AppendBytes(nil, nil), AppendBytes(nil, make([]byte, proofLen)), AppendBytes(nil, make([]byte, 1<<10))} {
				m := &rawMessage{body: body}
				var remote RemoteError
				require.ErrorAs(t, r.peer.Call(context.Background(), in(time.Second), kindProve, m), &remote, "%s: % x", name, body)
				assert.Empty(t, m.answer)
			}
			require.NoError(t, r.call())
			assert.EqualValues(t, 1, r.dials.Load())
		})
	}
}
