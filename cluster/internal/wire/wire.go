// Package wire is the messages between nodes, as msgpack arrays that are written and read
// by hand. A reader skips the elements that a newer minor version may add at the end.
//
// Nodes introduce themselves ([Hello]), and then call each other. Every call has one shape,
// [Message]: the asker fills the request and reads the answer, who is asked reads the
// request and fills the answer, in the same value. Nothing here knows what a message is for.
// What a reader has accepted is within its bounds, whoever sent it.
//
// What travels inside of gossip is not here but with it, in package membership.
package wire

import (
	"errors"
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// Kinds of calls.
const (
	KindTake     = 1  // decide: Take
	KindGive     = 2  // refund: Take
	KindShip     = 3  // copies of slots: Ship
	KindClaim    = 4  // who decides for these partitions? Claim
	KindComplete = 5  // you decide for this partition from here on: Complete
	KindTime     = 6  // your age and cluster time: Time; also the probe of a peer
	KindLeaving  = 7  // I am leaving: Leaving; gossip says so too, but may take its time
	KindCaughtUp = 8  // you have all that you should have from me: CaughtUp
	KindLease    = 9  // hand me a part of a budget: Lease
	KindRecall   = 10 // give back what is left of a lease: Recall
	KindKeep     = 11 // what was taken on trial is spent: Keep
	KindUndo     = 12 // take back what was counted and answered too late: Undo
	KindVote     = 13 // let me decide for this partition: Vote
	KindRecord   = 14 // keep what I count in, as one of a majority: Record
	KindRecover  = 15 // tell me what I knew before I was started anew: Recover
	KindTable    = 16 // which ring have you? Table
	KindReset    = 17 // make whole: Take
	KindForget   = 18 // a budget is whole again: Forget
	KindExplain  = 19 // what do you know of a budget? Explain
	KindSilent   = 20 // who does not answer you? Silent
	KindVouch    = 21 // up to which version have you counted? Vouch
)

// Message is one call, both ways. Of what was read nothing aliases the body.
type Message interface {
	AppendRequest(b []byte) []byte
	ReadRequest(body []byte) error
	AppendAnswer(b []byte) []byte
	ReadAnswer(body []byte) error
}

// ErrMalformed is wrapped by every error of a reader, but those about limits.
var ErrMalformed = errors.New("cluster: malformed message")

// leftMax is more than any Config lets a caller wait.
const leftMax = 5 * time.Minute

// noAnswer is the answer of a message that is only acknowledged.
type noAnswer struct{}

// AppendAnswer appends nothing.
func (noAnswer) AppendAnswer(b []byte) []byte { return b }

// ReadAnswer accepts anything.
func (noAnswer) ReadAnswer([]byte) error { return nil }

// finish skips what a newer version added to an array of n elements, of which known have
// been read, and reports what was malformed.
func finish(r *transport.Reader, n, known int) error {
	if err := skip(r, n, known); err != nil || len(r.Rest()) > 0 {
		return ErrMalformed
	}
	return nil
}

// small says whether a small number comes next. A field that came later is one, so that it is not
// mixed up with what a newer version has in its place behind the fields of an older one.
func small(r *transport.Reader) bool { b := r.Rest(); return len(b) > 0 && b[0] <= 0x7f }

// skip is finish for an array inside of another one.
func skip(r *transport.Reader, n, known int) error {
	for i := known; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < known || r.Err() != nil {
		return ErrMalformed
	}
	return nil
}

const fieldsMax = 64 // elements of any message's array, with those of newer versions

const limitBits = 4 // of a limit's last element that are its own; the rest is the message's

// appendLimit encodes a limit, with a few bits of the message's own.
func appendLimit(b []byte, l *limiter.Limit, bits uint64) []byte {
	b = transport.AppendInt(b, l.Quota)
	b = transport.AppendInt(b, int64(l.Window))
	b = transport.AppendInt(b, l.Burst)
	return transport.AppendUint(b, uint64(l.Algorithm)|uint64(l.Split)<<2|bits<<limitBits)
}

// readLimit decodes a limit, which has yet to be checked.
func readLimit(r *transport.Reader) (l limiter.Limit, bits uint64) {
	l.Quota, l.Window, l.Burst = r.Int(), time.Duration(r.Int()), r.Int()
	bits = r.Uint()
	l.Algorithm, l.Split = limiter.Algorithm(bits&3), limiter.Split(bits>>2&3)
	return l, bits >> limitBits
}

// Budget is what a ledger needs to know of a limit that travels.
func Budget(l *limiter.Limit) ledger.Limit {
	return ledger.Limit{Quota: l.Quota, Window: l.Window, Burst: l.Burst, Algorithm: ledger.Algorithm(l.Algorithm)}
}

func appendID(b []byte, id ledger.ID) []byte {
	return transport.AppendUint(transport.AppendUint(b, id.Hi), id.Lo)
}

func readID(r *transport.Reader) ledger.ID { return ledger.ID{Hi: r.Uint(), Lo: r.Uint()} }

// readLeft reads the time that is left to answer in.
func readLeft(r *transport.Reader) time.Duration {
	return time.Duration(min(r.Uint(), uint64(leftMax.Microseconds()))) * time.Microsecond
}

// bit is a flag as a number.
func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}
