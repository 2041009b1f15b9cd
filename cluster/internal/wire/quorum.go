package wire

import (
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// Word is what each answer of a voter begins with.
type Word struct {
	Fresh bool   // it has just started, and does not vote
	Life  uint64 // its process
	Lives []Life // whom it has helped to recover
}

// Life is one process of a voter.
type Life struct{ Mark, Life uint64 }

const wordFields = 3

func (w *Word) append(b []byte) []byte {
	b = transport.AppendUint(b, bit(w.Fresh))
	b = transport.AppendUint(b, w.Life)
	b = transport.AppendArrayLen(b, 2*len(w.Lives)) // mark, life, mark, life
	for _, x := range w.Lives {
		b = transport.AppendUint(transport.AppendUint(b, x.Mark), x.Life)
	}
	return b
}

func (w *Word) read(r *transport.Reader) {
	w.Fresh, w.Life, w.Lives = r.Uint() == 1, r.Uint(), nil
	for range r.ArrayLen(4*VotersMax) / 2 { // of two lists, at most
		w.Lives = append(w.Lives, Life{r.Uint(), r.Uint()})
	}
}

// VotersMax is how many voters there can be.
const VotersMax = 9

// Ballot is what a partition is claimed under.
type Ballot struct{ Number, By uint64 }

// Claimed is a partition, and a ballot for it.
type Claimed struct {
	Part   int
	Ballot Ballot
}

const claimedFields = 3

func appendBallot(b []byte, x Ballot) []byte {
	return transport.AppendUint(transport.AppendUint(b, x.Number), x.By)
}

func readBallot(r *transport.Reader) Ballot {
	return Ballot{Number: r.Uint(), By: r.Uint()}
}

func appendClaimed(b []byte, all []Claimed) []byte {
	b = transport.AppendArrayLen(b, claimedFields*len(all))
	for _, x := range all {
		b = appendBallot(transport.AppendUint(b, uint64(x.Part)), x.Ballot)
	}
	return b
}

func readClaimed(r *transport.Reader) (all []Claimed, err error) {
	k := r.ArrayLen(claimedFields * ledger.Partitions)
	if k%claimedFields != 0 {
		return nil, ErrMalformed
	}
	for range k / claimedFields {
		part, err := readPart(r)
		if err != nil {
			return nil, err
		}
		all = append(all, Claimed{part, readBallot(r)})
	}
	return all, nil
}

// Vote asks a voter to let the asker decide for a partition. Before the answer it is sent
// all slots of the partition that the voter holds.
type Vote struct {
	Claimed
	Left time.Duration // for all of it

	Word
	Granted bool
	Highest Ballot // that the voter has heard of
}

const (
	voteFields       = claimedFields + 1
	voteAnswerFields = wordFields + 3
)

// AppendRequest encodes the question.
func (c *Vote) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, voteFields)
	b = appendBallot(transport.AppendUint(b, uint64(c.Part)), c.Ballot)
	return transport.AppendUint(b, uint64(c.Left.Microseconds()))
}

// ReadRequest decodes the question.
func (c *Vote) ReadRequest(body []byte) (err error) {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	if c.Part, err = readPart(&r); err != nil {
		return err
	}
	c.Ballot, c.Left = readBallot(&r), readLeft(&r)
	return finish(&r, n, voteFields)
}

// AppendAnswer encodes the answer.
func (c *Vote) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, voteAnswerFields)
	b = c.Word.append(b)
	b = transport.AppendUint(b, bit(c.Granted))
	return appendBallot(b, c.Highest)
}

// ReadAnswer decodes the answer.
func (c *Vote) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Word.read(&r)
	c.Granted, c.Highest = r.Uint() == 1, readBallot(&r)
	return finish(&r, n, voteAnswerFields)
}

// Record asks a voter to keep slots of the asker's own, as one of a majority, and says
// under which ballots they were counted. Without slots it asks whether the ballots hold.
type Record struct {
	Now    int64 // cluster time at the sender
	Claims []Claimed
	Slots  []ledger.Slot

	Word
	Refused []Claimed // for which a higher ballot was granted
}

// RecordSlots is how many slots one record carries at most, and how many ballots.
const RecordSlots = 128

const (
	recordFields       = 3
	recordAnswerFields = wordFields + 1
)

// AppendRequest encodes the question.
func (c *Record) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, recordFields)
	b = transport.AppendInt(b, c.Now)
	return appendSlots(appendClaimed(b, c.Claims), c.Slots)
}

// ReadRequest decodes the question.
func (c *Record) ReadRequest(body []byte) (err error) {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Now = r.Int()
	if c.Claims, err = readClaimed(&r); err != nil {
		return err
	}
	for range r.ArrayLen(RecordSlots) {
		s, err := readSlot(&r)
		if err != nil {
			return err
		}
		c.Slots = append(c.Slots, s)
	}
	return finish(&r, n, recordFields)
}

// AppendAnswer encodes the answer.
func (c *Record) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, recordAnswerFields)
	return appendClaimed(c.Word.append(b), c.Refused)
}

// ReadAnswer decodes the answer.
func (c *Record) ReadAnswer(body []byte) (err error) {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Word.read(&r)
	if c.Refused, err = readClaimed(&r); err != nil {
		return err
	}
	return finish(&r, n, recordAnswerFields)
}

// Recover is what a voter asks that has started anew. Before the answer it is sent all
// slots that the other one holds.
type Recover struct {
	Asker uint64 // its life

	Word
	Known    uint64    // the asker's life, as it was known before
	Promises []Claimed // the highest ballots that were heard of
}

const (
	recoverFields       = 1
	recoverAnswerFields = wordFields + 2
)

// AppendRequest encodes the question.
func (c *Recover) AppendRequest(b []byte) []byte {
	return transport.AppendUint(transport.AppendArrayLen(b, recoverFields), c.Asker)
}

// ReadRequest decodes the question.
func (c *Recover) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Asker = r.Uint()
	return finish(&r, n, recoverFields)
}

// AppendAnswer encodes the answer.
func (c *Recover) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, recoverAnswerFields)
	b = transport.AppendUint(c.Word.append(b), c.Known)
	return appendClaimed(b, c.Promises)
}

// ReadAnswer decodes the answer.
func (c *Recover) ReadAnswer(body []byte) (err error) {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Word.read(&r)
	c.Known = r.Uint()
	if c.Promises, err = readClaimed(&r); err != nil {
		return err
	}
	return finish(&r, n, recoverAnswerFields)
}
