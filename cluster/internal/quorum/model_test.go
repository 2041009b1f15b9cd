package quorum

import (
	"cmp"
	"slices"
)

// The explorer's world: some processes, one partition, one budget of one. Whoever decides
// takes the one there is; the budget is broken when two takes have been answered.
//
// Time does not occur, since no rule depends on it: clocks of any rate are the orders of
// events that are tried here, all of them. A message may be late by any number of events.
// One that is never delivered is lost; a cut, of one way or both, is all messages of a
// link being lost, a stop is a process that gets none for a while, and a crash one that is
// never heard of again. A process that starts anew takes the place of the one before: it
// knows nothing, is a new origin, and gets nothing that was on its way to the old one, but
// what the old one sent still arrives.

const (
	procsMax   = 6
	originsMax = 8
)

type kind uint8

const (
	claim   kind = iota // under a ballot
	grant               // with all slots that the voter holds
	refusal             // with the highest ballot
	record              // the sender's own slot, counted under a ballot
	ack
	helpMe // of a fresh voter
	help   // with all slots, and the highest ballot
	freshToo
)

type message struct {
	kind     kind
	from, to uint8
	of       uint8 // the origin of the process that is meant, or of the one that sends
	ballot   Ballot
	lives    Lives
	slots    [originsMax]uint8

	hash [2]uint64
}

// proc is one process. Of its slots the odd versions have taken the one, the even ones
// have not, or have given it back.
type proc struct {
	origin  uint8
	fresh   bool
	asked   bool // for help
	promise Promise
	lives   Lives
	slots   [originsMax]uint8

	seen     Ballot // the highest that it has heard of
	claiming Ballot
	grants   Count
	mine     Ballot // that it decides under
	taking   Ballot // that its take was counted under, while it waits
	acks     Count

	recovery Recovery

	hash [2]uint64
}

// world is one state.
type world struct {
	procs    [procsMax]*proc // shared with other states: see change
	origins  uint8           // so many processes there were
	messages []*message
	answered uint8
	claims   uint8
	takes    uint8
	restarts uint8
}

// bounds are how much may happen in one run, and who is there.
type bounds struct {
	procs                   int
	lists                   [procsMax]List // what each process is configured with
	claims, takes, restarts uint8
	messages                int // on their way at a time
}

// rules are the ones that can be broken on purpose; the zero value keeps them all.
type rules struct {
	grantAny, acceptAny, grantEmpty   bool
	voteFresh, recoverEarly           bool
	countReplaced, fewGrants, fewAcks bool
	meetAll, recoverBlank             bool
}

func name(i int) string { return string(rune('a' + i)) }

func newWorld(b *bounds) world {
	w := world{origins: uint8(b.procs)}
	for i := range b.procs {
		w.procs[i] = &proc{origin: uint8(i) + 1}
	}
	return w
}

// life is a process's number for its voter: its origin, since later ones are larger.
func (p *proc) life() uint64 { return uint64(p.origin) }

func (w *world) spent(p *proc) (n int) {
	for _, version := range p.slots {
		n += int(version & 1)
	}
	return n
}

func (p *proc) merge(slots [originsMax]uint8) {
	for i, version := range slots {
		p.slots[i] = max(p.slots[i], version)
	}
}

func (p *proc) hear(b Ballot) {
	if p.seen.Less(b) {
		p.seen = b
	}
}

// change is a process of w that may be changed.
func (w *world) change(i int) *proc {
	p := *w.procs[i]
	p.hash = [2]uint64{}
	w.procs[i] = &p
	return &p
}

// send puts a message where it may be delivered, in an order that does not depend on how
// the state was reached.
func (w *world) send(m message) {
	at, _ := slices.BinarySearchFunc(w.messages, &m, compare)
	w.messages = slices.Insert(slices.Clone(w.messages), at, &m)
}

func (w *world) remove(i int) message {
	m := w.messages[i]
	w.messages = slices.Delete(slices.Clone(w.messages), i, i+1)
	return *m
}

func compare(a, b *message) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.of, b.of),
		cmp.Compare(a.ballot.Number, b.ballot.Number), cmp.Compare(a.ballot.By, b.ballot.By),
		slices.Compare(a.lives[:], b.lives[:]), slices.Compare(a.slots[:], b.slots[:]))
}
