package port

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Packets are sealed by AES-256-GCM under a key of the secret:
//
//	mark 1 · sender 8 · number 4 · ciphertext and tag
//
// Sender and number are the nonce: a random id of the sending process, and a number that it
// uses once. Sealed in with it, though not sent, are the label and the address that it was
// sent to: what was meant for another node or another cluster does not open. Without a
// secret, on loopback only, packets are plain:
//
//	mark 1 · length of the label 1 · label · what is said

const (
	// PlainMark begins a packet that is not sealed.
	PlainMark = 244
	// SealedMark begins one that is.
	SealedMark = 245

	sealOverhead = headLen + 16 // by so much a sealed packet is longer than what it says

	senderLen = 8
	nonceLen  = senderLen + 4
	headLen   = 1 + nonceLen
)

// Overhead is by how many bytes a packet is longer, at most, than what it says.
func Overhead(label string) int { return max(sealOverhead, 2+len(label)) }

// verdict says what became of a packet that came in.
type verdict uint8

const (
	packetGood  verdict = iota
	packetBad           // not of the form that we send, or not meant for us
	packetWrong         // of that form, and sealed by a secret that we do not have
	packetAgain         // a replay, or too late to tell
)

// seal seals packets and opens them. Sealing is safe for concurrent use, opening is for one
// goroutine.
type seal struct {
	label string
	keys  atomic.Pointer[[]cipher.AEAD] // none: packets are plain

	mu     sync.Mutex
	sender [senderLen]byte
	number uint32 // the last that was used

	heard senders
}

func newSeal(label string) *seal {
	s := &seal{label: label, heard: senders{of: map[[senderLen]byte]*window{}}}
	s.keys.Store(&[]cipher.AEAD{})
	rand.Read(s.sender[:])
	return s
}

// set replaces the secrets: the first seals, each opens.
func (s *seal) set(secrets [][]byte) {
	keys := make([]cipher.AEAD, 0, len(secrets))
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "weir packets v1", 32)
		if err != nil {
			panic(err) // only for a length that HKDF cannot give
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // only for another length
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic(err) // only for another block size
		}
		keys = append(keys, aead)
	}
	s.keys.Store(&keys)
}

// bound is what is sealed in beside the packet.
func (s *seal) bound(to netip.AddrPort) []byte {
	b := append(make([]byte, 0, 300), byte(len(s.label)))
	b = append(b, s.label...)
	b, _ = netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port()).AppendBinary(b) // never fails
	return b
}

// to makes a packet for an address.
func (s *seal) to(to netip.AddrPort, said []byte) []byte {
	keys := *s.keys.Load()
	if len(keys) == 0 {
		b := append(make([]byte, 0, 2+len(s.label)+len(said)), PlainMark, byte(len(s.label)))
		return append(append(b, s.label...), said...)
	}
	b := make([]byte, headLen, len(said)+sealOverhead)
	b[0] = SealedMark
	s.mu.Lock()
	if s.number == math.MaxUint32 { // a nonce is used once
		rand.Read(s.sender[:])
		s.number = 0
	}
	s.number++
	copy(b[1:], s.sender[:])
	binary.BigEndian.PutUint32(b[1+senderLen:], s.number)
	s.mu.Unlock()
	return keys[0].Seal(b, b[1:headLen], said, s.bound(to))
}

// open takes a packet apart that came to self, which is not changed.
func (s *seal) open(self netip.AddrPort, packet []byte) ([]byte, verdict) {
	keys := *s.keys.Load()
	if len(keys) == 0 {
		n := 2 + len(s.label)
		if len(packet) < n || packet[0] != PlainMark || int(packet[1]) != len(s.label) || string(packet[2:n]) != s.label {
			return nil, packetBad
		}
		return append([]byte(nil), packet[n:]...), packetGood
	}
	if len(packet) < sealOverhead || packet[0] != SealedMark {
		return nil, packetBad
	}
	nonce, bound := packet[1:headLen], s.bound(self)
	for _, key := range keys {
		said, err := key.Open(nil, nonce, packet[headLen:], bound)
		if err != nil {
			continue
		}
		if !s.heard.first([senderLen]byte(nonce), binary.BigEndian.Uint32(nonce[senderLen:])) {
			return nil, packetAgain
		}
		return said, packetGood
	}
	return nil, packetWrong
}
