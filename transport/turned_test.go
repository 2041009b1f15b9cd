package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// addressed is a connection that comes from somewhere.
type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

// says connects from an address, says something after the greeting, and reads to the end.
func (l *lab) says(t *testing.T, i int, said []byte) (answer []byte) {
	a, b := memPair(1 << 10)
	defer func() { _ = a.Close() }()
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
	l.srv.ServeConn(addressed{b, net.TCPAddrFromAddrPort(addr)})
	_, err := io.ReadFull(a, make([]byte, greetingLen))
	require.NoError(t, err)
	_, err = a.Write(said)
	require.NoError(t, err)
	answer, err = io.ReadAll(a)
	require.NoError(t, err)
	synctest.Wait()
	return answer
}

// Each reason has its counter.
func TestTurnedByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := []byte("a secret of sixteen")
		l, stop := newLab(t, Config{Secret: secret, MaxHandshakes: 1}, Config{Secret: secret, Label: "another"}, echoHandler{})
		defer stop()
		want := Turned{}
		l.says(t, 1, []byte("GET / HTTP/1.1"))
		want.Garbage++
		assert.Equal(t, want, l.srv.Turned())
		l.says(t, 1, []byte("weir\x09"))
		want.Refused++
		assert.Equal(t, want, l.srv.Turned())
		l.says(t, 1, append([]byte(Preface), make([]byte, prefaceLen-len(Preface))...)) // version 0
		want.Refused++
		assert.Equal(t, want, l.srv.Turned())
		require.Error(t, l.call())
		want.Refused++ // its label
		synctest.Wait()
		assert.Equal(t, want, l.srv.Turned())
		l.says(t, 1, append([]byte("weir\x01\x01"), make([]byte, proofLen)...))
		want.WrongSecret++
		assert.Equal(t, want, l.srv.Turned())
		a, b := memPair(1 << 10)
		l.srv.ServeConn(b)
		_ = a.Close()
		synctest.Wait()
		want.Silent++
		assert.Equal(t, want, l.srv.Turned())

		cred, err := newCredentials(&Config{Keyring: NewKeyring(secret)}, false)
		require.NoError(t, err)
		a, b = memPair(1 << 10)
		l.srv.ServeConn(b)
		require.NoError(t, knock(cred, a)) // and then nothing: it takes the only place
		synctest.Wait()
		time.Sleep(time.Second)
		require.ErrorContains(t, l.call(), statusTooBusy.reason())
		want.Busy++
		synctest.Wait()
		assert.Equal(t, want, l.srv.Turned())
		_ = a.Close()
	})
}

// Strangers of two hundred sources fill the log with sixteen lines of a kind. Another kind is still
// heard of, and so is a member that does not fit; after a while they are heard of again.
func TestStrangersKeepNoLineOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := []byte("a secret of sixteen")
		l, stop := newLab(t, Config{Secret: secret}, Config{Secret: secret, Label: "another"}, echoHandler{})
		defer stop()
		refused := func() int { return l.logs.count("refused a connection") - l.logs.count("the labels differ") }
		for round := 1; round < 4; round++ {
			for i := range 200 {
				l.says(t, i, []byte("GET / HTTP/1.1"))
				l.says(t, i, []byte("GET / HTTP/1.1"))
			}
			assert.Equal(t, round*logMost, l.logs.count("closed a connection"))
			wrong := append([]byte("weir\x01\x01"), make([]byte, proofLen)...)
			for i := range 200 {
				assert.Equal(t, []byte{byte(statusWrongSecret)}, l.says(t, 300+i, wrong), fmt.Sprint(i))
			}
			assert.Equal(t, round*logMost, refused())
			peer, err := NewPeer(Config{Secret: secret, Label: "another", Dial: l.net.dial}, "there", noHello, nil)
			require.NoError(t, err)
			require.Error(t, peer.Call(context.Background(), in(time.Second), 1, &echo{}))
			peer.Close()
			synctest.Wait()
			assert.Equal(t, round, l.logs.count("the labels differ"))
			time.Sleep(logEvery)
		}
	})
}
