package cluster

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/transport"
)

// raw is a call of which the bytes are those of a recording.
type raw struct{ request, answer []byte }

// AppendRequest appends what was said.
func (c *raw) AppendRequest(b []byte) []byte { return append(b, c.request...) }

// ReadAnswer keeps what is answered.
func (c *raw) ReadAnswer(body []byte) error {
	c.answer = append([]byte{}, body...)
	return nil
}

// older is the node of the recording, as far as it is asked: it introduces itself as it did, tells
// the time, holds nothing, and does not know the rest.
type older struct {
	hello []byte
	began time.Time
}

// Hello lets everybody in.
func (o older) Hello(net.Addr, []byte) (any, []byte, error) { return nil, o.hello, nil }

// Serve tells the time, holds nothing, and accepts all.
func (o older) Serve(_ *transport.Session, _ uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
	switch kind {
	case wire.KindTime:
		c := wire.Time{Age: time.Since(o.began), Now: time.Now().UnixNano(), Begun: true}
		return c.AppendAnswer(buf), true, nil
	case wire.KindClaim:
		c := wire.Claim{}
		if err := c.ReadRequest(body); err != nil {
			return buf, true, err
		}
		c.Answers = make([]tenure.Answer, len(c.Parts))
		return c.AppendAnswer(buf), true, nil
	case wire.KindShip, wire.KindComplete, wire.KindCaughtUp, wire.KindLeaving, wire.KindForget:
		return buf, true, nil
	}
	return buf, true, errStarting
}

// notForThis are the answers to what was said to one process alone: another one must not do it.
var notForThis = map[uint8]string{wire.KindComplete: errClocks.Error()}

// replay plays a recording to a node of the current code, at the times at which it was recorded.
func replay(t *testing.T, r conversation, longer bool) {
	began := time.Now()
	nw := simnet.New(simnet.Options{Latency: time.Millisecond})
	h, err := wire.ReadHello(r.hello)
	require.NoError(t, err)
	const ip = "127.1.0.2"
	log := &lockedBuilder{}
	n, err := Start(t.Context(), Config{Name: ip, Bind: ip + ":7946", Voters: []string{"127.1.0.1", "127.1.0.2", "127.1.0.3"},
		Network: nw.Host(ip, ip), Logger: textLogger(log)})
	require.NoError(t, err)
	defer n.Close()
	old := nw.Host(h.Name, h.Name)
	ln, packets, err := old.Listen(t.Context(), h.Addr)
	require.NoError(t, err)
	defer packets.Close()
	srv, err := transport.NewServer(transport.Config{Label: n.cfg.Label}, older{r.hello, began.Add(time.Second)})
	require.NoError(t, err)
	defer srv.Close()
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			srv.ServeConn(c)
		}
	}()
	defer ln.Close()
	if longer {
		r.hello = aFieldMore(r.hello)
	}
	p, err := transport.NewPeer(transport.Config{Label: n.cfg.Label, Dial: old.Dial}, n.Addr(), func() []byte { return r.hello },
		func(reply []byte, _ time.Duration) error { _, err := wire.ReadHello(reply); return err })
	require.NoError(t, err)
	defer p.Close()
	meta, err := membership.ReadMeta(r.meta)
	require.NoError(t, err)
	require.True(t, n.members.Alive(processOf(h), h.Addr, false, n.clock.age()))
	n.members.Runs(processOf(h), meta.Weir)
	n.kick(n.changed)
	time.Sleep(time.Second)
	require.Len(t, n.Members(), 2)
	call := func(kind uint8, request []byte) (*raw, error) {
		c := &raw{request: request}
		return c, p.Call(t.Context(), time.Now().Add(5*time.Second), kind, c)
	}
	for _, x := range r.calls {
		time.Sleep(x.at - time.Since(began))
		if longer {
			x.request = aFieldMore(x.request)
		}
		c, err := call(x.kind, x.request)
		name := kinds[x.kind].name
		if why, ok := notForThis[x.kind]; ok {
			require.ErrorContains(t, err, why, name)
			continue
		}
		require.NoError(t, err, name)
		m := kinds[x.kind].make()
		require.NoError(t, m.ReadRequest(x.request), name)
		require.NoError(t, m.ReadAnswer(c.answer), name)
	}
	conns := n.server.Turned()
	for _, kind := range []int{len(kinds) + 1, 200} {
		_, err = call(uint8(kind), []byte{0x90})
		var refused transport.RemoteError
		require.True(t, errors.As(err, &refused), "%v", err)
		require.ErrorContains(t, err, fmt.Sprintf("unknown kind of call %d", kind), "a kind that is not in the table of this test?")
	}
	_, err = call(wire.KindTable, []byte{0x90})
	require.NoError(t, err, "the connection goes on")
	require.Equal(t, conns, n.server.Turned())
	n.Close()
	time.Sleep(probesEnd)
	require.NotContains(t, log.String(), "level=ERROR")
}

// aFieldMore is a message as a newer minor version writes it.
func aFieldMore(b []byte) []byte {
	b = append(append([]byte{}, b...), 0x93, 1, 0xc0, 0xa1, 'x') // one more: [1, nil, "x"]
	b[0]++
	return b
}
