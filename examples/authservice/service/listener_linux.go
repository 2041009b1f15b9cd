package service

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// handshakeMax is how long a connection may take from its first packet to its last before
// it is open: a round trip.
const handshakeMax = 50 * time.Millisecond

// quiesce lets nobody new in, and returns when all who were let in were accepted.
//
// The system makes connections for a listener before the program accepts them, and when
// the listener closes it resets those that wait: their clients have sent a request, and
// cannot know whether it was served. So first a filter drops the packets that begin a
// connection. A client takes that for a lost packet and repeats it a second later; then
// the listener is gone, the client is told so, and as nothing was sent it may go elsewhere.
func (l listener) quiesce(ctx context.Context) {
	raw, err := l.SyscallConn()
	if err != nil {
		return // closed
	}
	if attach(raw) != nil {
		return // not on this system: then as good as without
	}
	pause(ctx, handshakeMax)
	for ctx.Err() == nil && waiting(raw) {
		pause(ctx, time.Millisecond)
	}
}

// controller is a file descriptor that can be reached.
type controller interface{ Control(func(fd uintptr)) error }

// attach has packets with SYN dropped, which only beginnings have. A filter sees a packet
// from the TCP header on, in which byte 13 has the flags.
func attach(raw controller) (err error) {
	const flagsAt, syn, pass = 13, 0x02, 0xffff
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsAt},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 0, Jf: 1, K: syn},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: pass},
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
	}); e != nil {
		return e
	}
	return err
}

// waiting says whether connections wait to be accepted.
func waiting(raw controller) bool {
	n := 0
	_ = raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return n > 0
}
