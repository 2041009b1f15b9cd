package port

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/membership"
)

// victim is a member of nothing, whose memberlist hears what a fuzz target says, sealed by
// the right secret, and whose answers go nowhere.
type victim struct {
	port   *Port
	gossip *membership.Gossip
	theirs *seal
	acks   chan struct{}
	inputs int
}

var victimAddr = netip.MustParseAddrPort("127.0.0.1:7946")

// sink is a network on which nobody is.
type sink struct{ acks chan struct{} }

func (s sink) Listen(context.Context, string) (net.Listener, net.PacketConn, error) {
	return nobody{done: make(chan struct{})}, &deaf{acks: s.acks, done: make(chan struct{})}, nil
}

func (sink) Dial(context.Context, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}

type nobody struct{ done chan struct{} }

func (n nobody) Accept() (net.Conn, error) { <-n.done; return nil, net.ErrClosed }
func (n nobody) Close() error              { close(n.done); return nil }
func (n nobody) Addr() net.Addr            { return net.TCPAddrFromAddrPort(victimAddr) }

// deaf takes packets, and tells acks of them.
type deaf struct {
	net.PacketConn
	acks chan struct{}
	done chan struct{}
}

func (d *deaf) ReadFrom([]byte) (int, net.Addr, error) { <-d.done; return 0, nil, net.ErrClosed }
func (d *deaf) Close() error                           { close(d.done); return nil }
func (d *deaf) WriteTo(b []byte, to net.Addr) (int, error) {
	if to.String() == "127.0.0.1:1" {
		select {
		case d.acks <- struct{}{}:
		default:
		}
	}
	return len(b), nil
}

var fuzzSecret = [][]byte{[]byte("the secret of the cluster")}

func newVictim(t testing.TB) *victim {
	v := &victim{theirs: newSeal("weir"), acks: make(chan struct{}, 1)}
	v.theirs.set(fuzzSecret)
	nw := sink{v.acks}
	v.port = New(Config{Network: nw, Label: "weir", Secrets: fuzzSecret, Dial: nw.Dial})
	require.NoError(t, v.port.Open(context.Background(), victimAddr.String(), func(c net.Conn) { c.Close() }))
	self := membership.Process{Name: "a", Origin: 1 << 40}
	m := membership.New(self, time.Hour, 0)
	m.At(victimAddr.String())
	var err error
	v.gossip, err = membership.Listen(m, membership.GossipConfig{Port: v.port, Overhead: Overhead("weir"),
		Bound: victimAddr, Advertise: victimAddr, Log: slog.New(slog.DiscardHandler), Age: func() time.Duration { return time.Second },
		Changed: func() {}, Doubt: func(string) {}, Contend: func(string) {}, Once: func(string, func()) {}})
	require.NoError(t, err)
	v.port.Listen(victimAddr)
	return v
}

func (v *victim) close() { v.gossip.Close() } // and the port

// hear hands over a packet as receive does, and waits until memberlist has read it.
func (v *victim) hear(t testing.TB, said []byte) {
	v.port.take(v.theirs.to(victimAddr, said), net.UDPAddrFromAddrPort(victimAddr))
	probe := append([]byte{kindPing}, "\x83\xa5SeqNo\x01\xaaSourceAddr\xa4\x7f\x00\x00\x01\xaaSourcePort\x01"...)
	v.port.take(v.theirs.to(victimAddr, probe), net.UDPAddrFromAddrPort(victimAddr))
	select {
	case <-v.acks:
	case <-time.After(10 * time.Second):
		t.Fatal("memberlist does not answer any more")
	}
}

// talk says something on a stream, and reads the answer.
func (v *victim) talk(t testing.TB, said []byte) []byte {
	ours, theirs := net.Pipe()
	go v.port.Stream(theirs)
	ours.SetDeadline(time.Now().Add(10 * time.Second))
	go ours.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(said))), said...))
	answer, err := io.ReadAll(ours)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("memberlist does not answer any more")
	}
	ours.Close()
	return answer
}

// workMax is how much time of a processor an input may take.
const workMax = 100 * time.Millisecond

// judge runs what an input does, and says whether it took too long. It is asked three times: the
// collector of garbage may have been at work, too.
func judge(run func()) bool {
	for range 3 {
		before := worked()
		run()
		if worked()-before <= workMax {
			return true
		}
	}
	return false
}

// fuzz runs say on a victim, a new one from time to time: what it learns stays with it.
func fuzz(f *testing.F, say func(*victim, testing.TB, []byte)) {
	v := newVictim(f)
	defer func() { v.close() }()
	f.Fuzz(func(t *testing.T, said []byte) {
		if v.inputs++; v.inputs%500 == 0 {
			v.close()
			v = newVictim(t)
		}
		require.True(t, judge(func() { say(v, t, said) }), "more than %v of work", workMax)
	})
}

// What works for too long each time is told from what did so once.
func TestJudgesWork(t *testing.T) {
	if worked() == 0 {
		t.Skip("knows of no work here")
	}
	busy := func() {
		for began := worked(); worked()-began <= workMax; {
		}
	}
	require.False(t, judge(busy))
	require.True(t, judge(func() {}))
	runs := 0
	require.True(t, judge(func() {
		if runs++; runs == 1 {
			busy()
		}
	}))
}

// meta is an origin, as a node's metadata has it.
var meta = string(membership.Meta{Origin: 1 << 41}.Encode())

func text(s string) string { return string(append([]byte{0xd9, byte(len(s))}, s...)) }

const (
	aPair  = "\xa8\x02\x05\x02\x01\x01\x01\x00\x00" // not of six
	aSix   = "\xa6\x01\x05\x02\x01\x01\x01"
	ghostN = "\xa4\x7f\x00\x00\x02"
)

// gossipSeeds are one of each kind, and what used to end the process.
func gossipSeeds(f *testing.F) {
	alive := func(vsn string) string {
		return "\x04\x86\xabIncarnation\x01\xa4Node\xa1b\xa4Addr" + ghostN + "\xa4Port\x01\xa4Meta" + text(meta) + "\xa3Vsn" + vsn
	}
	state := func(nodes, length string) string {
		return "\x06\x83\xa5Nodes" + nodes + "\xacUserStateLen" + length + "\xa4Join\xc3"
	}
	node := "\x87\xa4Name\xa1b\xa4Addr" + ghostN + "\xa4Port\x01\xa4Meta" + text(meta) + "\xabIncarnation\x01\xa5State\x00\xa3Vsn" + aSix
	for _, s := range []string{
		string(aPing), "", "\x07", "\x07\x00", "\x07\x01\x00\x00", "\x07\x01\x00\x01\x07", "\x0c\x00\x00\x00\x00", "\x0a", "\x09\x82\xa4Algo\x00\xa3Buf\xa0",
		"\xf4\x04weir", alive(aSix), alive(aPair), alive("\xa1\x01"), alive("\xc0"), "\x03\x83\xabIncarnation\x01\xa4Node\xa1a\xa4From\xa1b",
		"\x05\x83\xabIncarnation\x01\xa4Node\xa1a\xa4From\xa1a", "\x02\x82\xa5SeqNo\x01\xa7Payload\xc0", "\x0b\x81\xa5SeqNo\x01",
		"\x01\x84\xa5SeqNo\x01\xa6Target" + ghostN + "\xa4Port\x01\xa4Node\xa1b", "\x00\xdd\xff\xff\xff\xff", "\x00\xdf\xff\xff\xff\xff",
		state("\x00", "\x00"), state("\x01", "\x00") + node, state("\xd2\xff\xff\xff\xff", "\x00"), state("\xce\xff\xff\xff\xff", "\x00"),
		state("\x00", "\xce\x7f\xff\xff\xff"), state("\x00", "\x05") + "12345", "\x08\x81\xaaUserMsgLen\xff",
	} {
		f.Add([]byte(s))
	}
}

// No packet of a member panics the process, or makes memberlist deaf.
func FuzzGossipPacket(f *testing.F) {
	gossipSeeds(f)
	fuzz(f, (*victim).hear)
}

// No stream of a member does.
func FuzzGossipStream(f *testing.F) {
	gossipSeeds(f)
	fuzz(f, func(v *victim, t testing.TB, said []byte) { v.talk(t, said) })
}
