package port

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Gossip's streams travel inside connections whose ends have proved the secret to each
// other. What memberlist says on one, which is one message each way, goes as one frame: its
// length, 4 bytes, and the message. So it is here whole before memberlist sees a byte.

const (
	streamMax     = 1 << 19 // bytes of a message
	streamsMax    = 32      // that came in and are under way
	streamTimeout = 10 * time.Second
)

var errScreened = errors.New("what a member says is not gossip of weir's")

// stream is a gossip stream, as memberlist sees it.
type stream struct {
	net.Conn
	bad   func() // told of a message that memberlist cannot bear
	begun bool
	said  []byte // what is still to be read of the other side's message
	ended func()
}

// Read reads what the other side says, after it was looked through.
func (s *stream) Read(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		if err := s.receive(); err != nil {
			return 0, err
		}
	}
	if len(s.said) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.said)
	s.said = s.said[n:]
	return n, nil
}

func (s *stream) receive() error {
	var head [4]byte
	if _, err := io.ReadFull(s.Conn, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > streamMax {
		s.bad()
		return fmt.Errorf("%w: %d bytes", errScreened, n)
	}
	said, err := io.ReadAll(io.LimitReader(s.Conn, int64(n))) // allocates as it comes
	if err != nil {
		return err
	}
	if len(said) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if !streamFits(said) {
		s.bad()
		return errScreened
	}
	s.said = said
	return nil
}

// Write sends a message.
func (s *stream) Write(b []byte) (int, error) {
	if len(b) > streamMax {
		return 0, fmt.Errorf("gossip: a message of %d bytes, at most %d are allowed", len(b), streamMax)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	if _, err := s.Conn.Write(append(frame, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the stream.
func (s *stream) Close() error {
	err := s.Conn.Close()
	if s.ended != nil {
		s.ended()
	}
	return err
}
