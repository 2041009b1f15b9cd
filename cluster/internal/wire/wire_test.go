package wire

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

var update = flag.Bool("update", false, "write the golden file anew")

var (
	anID    = ledger.ID{Hi: 1 << 63, Lo: 7}
	aLimit  = limiter.Limit{Quota: 100, Window: time.Minute, Burst: 20, Algorithm: limiter.TokenBucket, Split: limiter.SplitShare}
	aTerm   = tenure.Term{Number: 300, Holder: 1 << 63}
	aSlot   = ledger.Slot{ID: ledger.ID{Hi: 2, Lo: math.MaxUint64}, Origin: 9, At: 1_700_000_060_000_000_000, Cur: -4, Prev: 300, Version: 70000, Expires: 1_700_000_060, Fill: 254}
	aBucket = ledger.Slot{ID: ledger.ID{Hi: 2, Lo: 1 << 63}, Origin: 9, At: 1_700_000_060_000_000_000, Cur: 12, Prev: 1 << 30,
		Version: 70000 << 12, Expires: 1_700_000_120, Fill: 10, Knows: []ledger.Known{{Origin: 8, Version: 5 << 12}, {Origin: 1 << 63, Version: 1}},
		Paced: 1_700_000_090_000_000_000}
)

// samples has each message once, with both its sides.
var samples = []struct {
	name   string
	m      Message
	answer bool // it has one
}{
	{"take", &Take{ID: anID, Limit: aLimit, Cost: 3, Flags: FlagsAll, Trial: true, Of: 1_700_000_000_000_000_000,
		Left: 120 * time.Millisecond, Asker: 1 << 63, Number: 70000, Outcome: NotHolder, By: 5, Term: aTerm,
		Decision: limiter.Decision{Allowed: true, Degraded: true, Tentative: true, Remaining: 97, ResetAfter: time.Second, RetryAfter: 1, Window: 1 << 61}}, true},
	{"ship", &Ship{Fingerprint: 5, Now: 1_700_000_000_000_000_000, Slots: []ledger.Slot{aSlot, {}, aBucket}}, false},
	{"claim", &Claim{Table: 1 << 63, Parts: []Asked{{}, {Part: 1020, Known: aTerm, Held: tenure.Term{Number: 2, Holder: 8}, Top: 301}},
		Answers: []tenure.Answer{{}, {Word: tenure.Perhaps, Held: tenure.Term{Number: 2, Holder: 8}, Known: aTerm, Top: 301}}}, true},
	{"complete", &Complete{Part: 1020, Now: 1_700_000_000_000_000_000, Slots: []ledger.Slot{aSlot}, Term: aTerm, Final: true}, false},
	{"table", &Table{Fingerprint: 1 << 63}, true},
	{"time", &Time{Age: time.Hour, Now: 1_700_000_000_000_000_000, Wall: -time.Second, Agree: time.Hour, Far: time.Second, Begun: true, Parting: Leaves}, true},
	{"leaving", &Leaving{}, false},
	{"caught up", &CaughtUp{Fingerprint: 1 << 63, Ask: true}, false},
	{"lease", &Lease{ID: ledger.ID{Hi: 1, Lo: 1 << 63}, Limit: aLimit, Want: 500, Number: 7, Slice: 300, ResetAfter: time.Minute}, true},
	{"recall", &Recall{ID: ledger.ID{Hi: 1, Lo: 2}, Number: 7, Wait: time.Second, Left: 20, Lost: true}, true},
	{"keep", &Keep{ID: anID, Cost: 3}, false},
	{"undo", &Undo{List: []Undone{{ID: anID, Limit: aLimit, Cost: 3, Asker: 1 << 63, Number: 70000, Relay: true},
		{Limit: aLimit, Window: 1_700_000_000_000_000_000}}, Done: 1}, true},
	{"vote", &Vote{Claimed: aClaim, Left: time.Second, Word: aWord, Granted: true, Highest: aClaim.Ballot}, true},
	{"record", &Record{Now: 1_700_000_000_000_000_000, Claims: []Claimed{aClaim, {}}, Slots: []ledger.Slot{aSlot, aBucket},
		Word: aWord, Refused: []Claimed{aClaim}}, true},
	{"explain", &Explain{ID: anID, Limit: aLimit, Held: true, Holder: "node1", Term: 300, By: 1 << 63,
		Counts: []Counted{{"node2", -4, 300}, {}}, Leases: []Leased{{"node3", 70000}, {}}}, true},
	{"forget", &Forget{ID: anID}, false},
	{"silent", &Silent{Names: []string{"node2", ""}}, true},
	{"vouch", &Vouch{Parts: []int{0, 1020}, IDs: []ledger.ID{anID}, Tops: []uint64{0, 1 << 62}}, true},
	{"recover", &Recover{Asker: 9, Word: aWord, Known: 8, Promises: []Claimed{{}, aClaim}}, true},
}

var (
	aClaim = Claimed{Part: 1020, Ballot: Ballot{Number: 70000, By: 1 << 63}}
	aWord  = Word{Fresh: true, Life: 1 << 63, Lives: []Life{{Mark: 1 << 62, Life: 3}, {}}}
)

var aHello = Hello{Name: "node1", Addr: "127.0.0.1:7946", Origin: 9, Scheme: "s", Taken: "127.0.0.1:7947", Voters: []uint64{1, 1 << 63}, IDs: 1 << 62, Weir: "0.9.0"}

// fresh is an empty message of m's type.
func fresh(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

// asked is a message of m's type that has read a request.
func asked(t *testing.T, m Message, request []byte) Message {
	c := fresh(m)
	require.NoError(t, c.ReadRequest(request))
	return c
}

// The bytes between nodes: nodes of different builds must agree on them.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&b, "%s: %x\n", s.name, s.m.AppendRequest(nil))
		answer := s.m.AppendAnswer(nil)
		if s.answer {
			fmt.Fprintf(&b, "%s answer: %x\n", s.name, answer)
		} else {
			require.Empty(t, answer, s.name)
		}
	}
	fmt.Fprintf(&b, "hello: %x\n", aHello.Encode())
	const file = "testdata/wire.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "the wire changed: old and new nodes would not understand each other")
}

// What is written is read again, in both directions.
func TestRoundTrip(t *testing.T) {
	for _, s := range samples {
		got := asked(t, s.m, s.m.AppendRequest(nil))
		require.NoError(t, got.ReadAnswer(s.m.AppendAnswer(nil)), s.name)
		require.Equal(t, s.m, got)
	}
	h, err := ReadHello(aHello.Encode())
	require.NoError(t, err)
	require.Equal(t, aHello, h)
}

// A newer minor version may add elements at the end of either side.
func TestSkipsWhatItDoesNotKnow(t *testing.T) {
	longer := func(b []byte) []byte {
		b[0]++
		return append(b, 0x93, 1, 0xc0, 0xa1, 'x') // one more: [1, nil, "x"]
	}
	for _, s := range samples {
		got := asked(t, s.m, longer(s.m.AppendRequest(nil)))
		if s.answer {
			require.NoError(t, got.ReadAnswer(longer(s.m.AppendAnswer(nil))), s.name)
		}
		require.Equal(t, s.m, got)
	}
}

// The same of what messages have lists of: slots, partitions, takes to be undone, counts and leases.
func TestSkipsInsideOfLists(t *testing.T) {
	longer := func(b []byte) (_ []byte, lists int) {
		var fields []any
		require.NoError(t, msgpack.Unmarshal(b, &fields))
		for _, f := range fields {
			list, _ := f.([]any)
			for i := range list {
				if x, ok := list[i].([]any); ok {
					list[i] = append(x, []any{1, nil, "x"})
					lists++
				}
			}
		}
		var to bytes.Buffer
		e := msgpack.NewEncoder(&to)
		e.UseCompactInts(true)
		require.NoError(t, e.Encode(fields))
		return to.Bytes(), lists
	}
	all := 0
	for _, s := range samples {
		request, n := longer(s.m.AppendRequest(nil))
		got := asked(t, s.m, request)
		if s.answer {
			answer, k := longer(s.m.AppendAnswer(nil))
			require.NoError(t, got.ReadAnswer(answer), s.name)
			n += k
		}
		require.Equal(t, s.m, got, s.name)
		all += n
	}
	require.Equal(t, 3+2+2+1+2+2+4, all, "ship, claim and its answer, complete, undo, record, explain")
}

// A node of an earlier version introduces itself without the last elements.
func TestShortHello(t *testing.T) {
	h := aHello
	h.Taken, h.Voters, h.IDs, h.Weir = "", nil, 0, ""
	b := h.Encode()
	for range 4 {
		b = b[:len(b)-1]
		b[0]--
		got, err := ReadHello(b)
		require.NoError(t, err)
		require.Equal(t, h, got)
	}
}

// What is cut short anywhere, or goes on, is refused.
func TestRefusesWhatIsCutShort(t *testing.T) {
	for _, s := range samples {
		request, answer := s.m.AppendRequest(nil), s.m.AppendAnswer(nil)
		for n := range request {
			require.Error(t, fresh(s.m).ReadRequest(request[:n]), "%s, %d bytes", s.name, n)
		}
		require.Error(t, fresh(s.m).ReadRequest(append(request[:len(request):len(request)], 0)), s.name)
		for n := range answer {
			require.Error(t, asked(t, s.m, request).ReadAnswer(answer[:n]), "%s answer, %d bytes", s.name, n)
		}
	}
}

// The sender's own name is not written, and nobody else's is left out.
func TestTheSenderIsNotNamed(t *testing.T) {
	take := Take{ID: anID, Limit: aLimit, Asker: 9, Self: 9}
	require.Zero(t, asked(t, &take, take.AppendRequest(nil)).(*Take).Asker)
	take.Self = 8
	require.EqualValues(t, 9, asked(t, &take, take.AppendRequest(nil)).(*Take).Asker)
	undo := Undo{Self: 9, List: []Undone{{Limit: aLimit, Asker: 9}, {Limit: aLimit, Asker: 8}}}
	got := asked(t, &undo, undo.AppendRequest(nil)).(*Undo)
	require.Zero(t, got.List[0].Asker)
	require.EqualValues(t, 8, got.List[1].Asker)
}

// The fullest messages fit into a frame.
func TestFitsIntoAFrame(t *testing.T) {
	s := ledger.Slot{ID: ledger.ID{Hi: math.MaxUint64, Lo: math.MaxUint64}, Origin: math.MaxUint64, At: math.MaxInt64,
		Cur: math.MinInt32, Prev: math.MinInt32, Version: math.MaxUint64, Expires: math.MaxUint32, Fill: 255, Paced: math.MaxInt64}
	for range ledger.KnownMost {
		s.Knows = append(s.Knows, ledger.Known{Origin: math.MaxUint64, Version: math.MaxUint64})
	}
	require.LessOrEqual(t, len(appendSlot(nil, &s)), slotMax)
	farTerm := tenure.Term{Number: tenure.MaxNumber, Holder: math.MaxUint64}
	ship, complete := Ship{Fingerprint: math.MaxUint64, Now: math.MaxInt64}, Complete{Part: 1020, Now: math.MaxInt64, Term: farTerm}
	for range ShipSlots {
		ship.Slots, complete.Slots = append(ship.Slots, s), append(complete.Slots, s)
	}
	undos := Undo{}
	for range UndoMost {
		undos.List = append(undos.List, Undone{ID: s.ID, Limit: limiter.Limit{Quota: math.MaxInt64, Window: math.MaxInt64, Burst: math.MaxInt64},
			Cost: math.MaxInt64, Asker: math.MaxUint64, Number: math.MaxUint64, Window: math.MaxInt64})
	}
	const nameMax, schemeMax = 128, 128 // bytes of a node's name, and of a ring's scheme
	claim := Claim{Table: math.MaxUint64}
	for range ClaimParts {
		claim.Parts = append(claim.Parts, Asked{Part: ledger.Partitions - 1, Known: farTerm, Held: farTerm, Top: tenure.MaxNumber})
		claim.Answers = append(claim.Answers, tenure.Answer{Word: tenure.WordMax, Held: farTerm, Known: farTerm, Top: tenure.MaxNumber})
	}
	most := Claimed{ledger.Partitions - 1, Ballot{Number: math.MaxUint64, By: math.MaxUint64}}
	word := Word{Life: math.MaxUint64}
	for range 2 * VotersMax {
		word.Lives = append(word.Lives, Life{math.MaxUint64, math.MaxUint64})
	}
	record, recovers := Record{Now: math.MaxInt64, Word: word}, Recover{Asker: math.MaxUint64, Word: word, Known: math.MaxUint64}
	for range RecordSlots {
		record.Slots, record.Claims = append(record.Slots, s), append(record.Claims, most)
	}
	for range ledger.Partitions {
		recovers.Promises = append(recovers.Promises, most)
	}
	record.Refused = record.Claims
	const overhead = 16
	for _, m := range []Message{&ship, &complete, &undos, &claim, &record, &recovers} {
		require.Less(t, len(m.AppendRequest(nil)), transport.MaxFrame-overhead)
		require.Less(t, len(m.AppendAnswer(nil)), transport.MaxFrame-overhead)
	}
	addr := strings.Repeat("x", 64)
	h := Hello{Name: strings.Repeat("x", nameMax), Addr: addr, Origin: math.MaxUint64, Scheme: strings.Repeat("x", schemeMax), Taken: addr, Weir: strings.Repeat("x", weirMax)}
	for range VotersMax {
		h.Voters = append(h.Voters, math.MaxUint64)
	}
	require.Less(t, len(h.Encode()), transport.MaxHello)
}

// The hand-written shapes are msgpack, as the library reads it.
func TestIsMsgpack(t *testing.T) {
	for _, s := range samples {
		var request, answer []any
		require.NoError(t, msgpack.Unmarshal(s.m.AppendRequest(nil), &request), s.name)
		if s.answer {
			require.NoError(t, msgpack.Unmarshal(s.m.AppendAnswer(nil), &answer), s.name)
		}
	}
	var take, ship []any
	require.NoError(t, msgpack.Unmarshal(samples[0].m.AppendRequest(nil), &take))
	require.EqualValues(t, uint64(1<<63), take[0])
	require.EqualValues(t, 100, take[2])
	require.Len(t, take, takeFields)
	require.NoError(t, msgpack.Unmarshal(samples[1].m.AppendRequest(nil), &ship))
	slot := ship[2].([]any)[0].([]any)
	require.Len(t, slot, slotFields)
	require.EqualValues(t, -4, slot[4])
}

// FuzzMessages feeds all readers. None may panic; what one accepts is within bounds, and it
// reads the same again after writing it.
func FuzzMessages(f *testing.F) {
	for _, s := range samples {
		f.Add(s.m.AppendRequest(nil))
		f.Add(s.m.AppendAnswer(nil))
	}
	f.Add(aHello.Encode())
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ReadHello(b); err == nil {
			again, err := ReadHello(h.Encode())
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
		for _, s := range samples {
			if m := fresh(s.m); m.ReadRequest(b) == nil {
				requireBounded(t, m)
				require.Equal(t, m, asked(t, m, m.AppendRequest(nil)))
			}
			request := s.m.AppendRequest(nil)
			if m := asked(t, s.m, request); m.ReadAnswer(b) == nil {
				requireBounded(t, m)
				again := asked(t, s.m, request)
				require.NoError(t, again.ReadAnswer(m.AppendAnswer(nil)))
				require.Equal(t, m, again)
			}
		}
	})
}

// requireBounded checks what a node relies on of a message that a reader accepted.
func requireBounded(t *testing.T, m Message) {
	switch c := m.(type) {
	case *Take:
		require.NoError(t, limiter.Check("id", c.Limit, c.Cost))
		require.LessOrEqual(t, c.Left, leftMax)
	case *Ship:
		require.LessOrEqual(t, len(c.Slots), ShipSlots)
	case *Claim:
		require.LessOrEqual(t, len(c.Parts), ClaimParts)
		for _, p := range c.Parts {
			require.True(t, p.Part >= 0 && p.Part < ledger.Partitions)
			require.True(t, p.Top <= tenure.MaxNumber && p.Known.Number <= tenure.MaxNumber && p.Held.Number <= tenure.MaxNumber)
		}
		for _, a := range c.Answers {
			require.True(t, a.Word <= tenure.WordMax && a.Top <= tenure.MaxNumber && a.Known.Number <= tenure.MaxNumber && a.Held.Number <= tenure.MaxNumber)
		}
	case *Complete:
		require.LessOrEqual(t, c.Term.Number, uint64(tenure.MaxNumber))
		require.True(t, c.Part >= 0 && c.Part < ledger.Partitions)
		require.LessOrEqual(t, len(c.Slots), ShipSlots)
	case *Lease:
		require.NoError(t, c.Limit.Validate())
		require.True(t, c.Want >= 0 && c.Slice >= 0 && c.Slice <= limiter.MaxQuota)
	case *Recall:
		require.True(t, c.Wait <= leftMax && c.Left >= 0 && c.Left <= limiter.MaxQuota)
	case *Keep:
		require.True(t, c.Cost > 0 && c.Cost <= limiter.MaxQuota)
	case *Record:
		require.LessOrEqual(t, len(c.Slots), RecordSlots)
		for _, x := range append(c.Claims, c.Refused...) {
			require.True(t, x.Part >= 0 && x.Part < ledger.Partitions)
		}
	case *Vote:
		require.True(t, c.Part >= 0 && c.Part < ledger.Partitions)
	case *Undo:
		require.True(t, len(c.List) <= UndoMost && c.Done >= 0 && c.Done <= len(c.List))
		for _, u := range c.List {
			require.NoError(t, limiter.Check("id", u.Limit, u.Cost))
		}
	}
}

// FuzzSlotAgainstLibrary writes a slot with the library and reads it by hand.
func FuzzSlotAgainstLibrary(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), int64(4), int32(5), int32(-6), uint64(7), uint32(8), uint8(9))
	f.Fuzz(func(t *testing.T, hi, lo, origin uint64, at int64, cur, prev int32, version uint64, expires uint32, fill uint8) {
		want := ledger.Slot{ID: ledger.ID{Hi: hi, Lo: lo}, Origin: ledger.Origin(origin), At: at, Cur: cur, Prev: prev,
			Version: version, Expires: expires, Fill: fill}
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		for _, err := range []error{e.EncodeArrayLen(3), e.EncodeUint(1), e.EncodeInt(2), e.EncodeArrayLen(1), e.EncodeArrayLen(slotFields),
			e.EncodeUint(hi), e.EncodeUint(lo), e.EncodeUint(origin), e.EncodeInt(at), e.EncodeInt(int64(cur)), e.EncodeInt(int64(prev)),
			e.EncodeUint(version), e.EncodeUint(uint64(expires)), e.EncodeUint(uint64(fill))} {
			require.NoError(t, err)
		}
		byHand := &Ship{Fingerprint: 1, Now: 2, Slots: []ledger.Slot{want}}
		require.Equal(t, byHand, asked(t, byHand, buf.Bytes()))
		require.Equal(t, buf.Bytes(), byHand.AppendRequest(nil))
	})
}
