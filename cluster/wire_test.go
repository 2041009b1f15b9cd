package cluster

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	aTake = takeCall{id: limiter.ID{Hi: 1 << 63, Lo: 7}, cost: 3, flags: flagsAll, trial: true, of: 1_700_000_000_000_000_000,
		left: 120 * time.Millisecond, asker: 1 << 63, number: 70000,
		lim: limiter.Limit{Quota: 100, Window: time.Minute, Burst: 20, Algorithm: limiter.TokenBucket, Split: limiter.SplitShare}}
	anAnswer = takeCall{outcome: notHolder, by: 5,
		d: limiter.Decision{Allowed: true, Degraded: true, Tentative: true, Remaining: 97, ResetAfter: time.Second, RetryAfter: 1, Window: 1 << 61}}
	aKeep = keepCall{id: limiter.ID{Hi: 1 << 63, Lo: 7}, cost: 3}
	aSlot = limiter.Slot{ID: limiter.ID{Hi: 2, Lo: math.MaxUint64}, Origin: 9, At: 1_700_000_060_000_000_000, Cur: -4, Prev: 300,
		Version: 70000, Expires: 1_700_000_060, Fill: 254}
	aBucket = limiter.Slot{ID: limiter.ID{Hi: 2, Lo: 1 << 63}, Origin: 9, At: 1_700_000_060_000_000_000, Cur: 12, Prev: 1 << 30,
		Version: 70000 << 12, Expires: 1_700_000_120, Fill: 10, Knows: []limiter.Known{{Origin: 8, Version: 5 << 12}, {Origin: 1 << 63, Version: 1}},
		Paced: 1_700_000_090_000_000_000}
	aShip     = shipCall{fingerprint: 5, now: 1_700_000_000_000_000_000, slots: []limiter.Slot{aSlot, {}, aBucket}}
	aClaim    = claimCall{parts: []int{0, 1020}, names: []string{"", "node1"}}
	aComplete = completeCall{part: 1020, now: 1_700_000_000_000_000_000, slots: []limiter.Slot{aSlot}, number: 300}
	aLease    = leaseCall{id: limiter.ID{Hi: 1, Lo: 1 << 63}, lim: aTake.lim, want: 500, number: 7, slice: 300, resetAfter: time.Minute}
	aRecall   = recallCall{id: limiter.ID{Hi: 1, Lo: 2}, number: 7, wait: time.Second, left: 20, lost: true}
	anUndo    = undoCall{list: []undo{{id: aTake.id, lim: aTake.lim, cost: 3, asker: 1 << 63, number: 70000, relay: true},
		{lim: aTake.lim, window: 1_700_000_000_000_000_000}}, done: 1}
	aTime = timeCall{age: time.Hour, now: 1_700_000_000_000_000_000}
)

// The bytes between nodes: nodes of different builds must agree on them.
func TestWireGolden(t *testing.T) {
	var b strings.Builder
	for _, m := range []struct {
		name string
		wire []byte
	}{
		{"take", aTake.AppendRequest(nil)},
		{"take answer", anAnswer.appendAnswer(nil)},
		{"ship", aShip.AppendRequest(nil)},
		{"claim", aClaim.AppendRequest(nil)},
		{"claim answer", aClaim.appendAnswer(nil)},
		{"complete", aComplete.AppendRequest(nil)},
		{"time", aTime.AppendRequest(nil)},
		{"time answer", aTime.appendAnswer(nil)},
		{"leaving", leavingCall{}.AppendRequest(nil)},
		{"caught up", caughtUpCall{fingerprint: 1 << 63}.AppendRequest(nil)},
		{"lease", aLease.AppendRequest(nil)},
		{"lease answer", aLease.appendAnswer(nil)},
		{"recall", aRecall.AppendRequest(nil)},
		{"recall answer", aRecall.appendAnswer(nil)},
		{"keep", aKeep.AppendRequest(nil)},
		{"undo", anUndo.AppendRequest(nil)},
		{"undo answer", anUndo.appendAnswer(nil)},
		{"hello", hello{name: "node1", addr: "127.0.0.1:7946", origin: 9, scheme: "s"}.encode()},
	} {
		fmt.Fprintf(&b, "%s: %x\n", m.name, m.wire)
	}
	const file = "testdata/wire.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "the wire changed: old and new nodes would not understand each other")
}

// readWhole reads a shipCall as one value.
func readWhole(b []byte) (c shipCall, err error) {
	err = readShip(b, func(f uint64, now int64) error {
		c.fingerprint, c.now = f, now
		return nil
	}, func(s limiter.Slot) { c.slots = append(c.slots, s) })
	return c, err
}

func TestWireRoundTrip(t *testing.T) {
	var lease leaseCall
	require.NoError(t, lease.readRequest(aLease.AppendRequest(nil)))
	require.NoError(t, lease.ReadAnswer(aLease.appendAnswer(nil)))
	require.Equal(t, aLease, lease)
	var recall recallCall
	require.NoError(t, recall.readRequest(aRecall.AppendRequest(nil)))
	require.NoError(t, recall.ReadAnswer(aRecall.appendAnswer(nil)))
	require.Equal(t, aRecall, recall)
	var keep keepCall
	require.NoError(t, keep.readRequest(aKeep.AppendRequest(nil)))
	require.Equal(t, aKeep, keep)
	var u undoCall
	require.NoError(t, u.readRequest(anUndo.AppendRequest(nil)))
	require.NoError(t, u.ReadAnswer(anUndo.appendAnswer(nil)))
	require.Equal(t, anUndo, u)

	var take takeCall
	require.NoError(t, take.readRequest(aTake.AppendRequest(nil)))
	require.Equal(t, aTake, take)
	var answer takeCall
	require.NoError(t, answer.ReadAnswer(anAnswer.appendAnswer(nil)))
	require.Equal(t, anAnswer, answer)

	ship, err := readWhole(aShip.AppendRequest(nil))
	require.NoError(t, err)
	require.Equal(t, aShip, ship)

	var claim claimCall
	require.NoError(t, claim.readRequest(aClaim.AppendRequest(nil)))
	require.NoError(t, claim.ReadAnswer(aClaim.appendAnswer(nil)))
	require.Equal(t, aClaim, claim)
	var complete completeCall
	require.NoError(t, complete.readRequest(aComplete.AppendRequest(nil)))
	require.Equal(t, aComplete, complete)
	var clock timeCall
	require.NoError(t, clock.ReadAnswer(aTime.appendAnswer(nil)))
	require.Equal(t, aTime, clock)

	h := hello{name: "n", addr: "a", origin: math.MaxUint64, scheme: "s"}
	got, err := readHello(h.encode())
	require.NoError(t, err)
	require.Equal(t, h, got)
}

// A full frame of the largest slots, and a claim of the longest names, fit.
func TestWireFitsIntoAFrame(t *testing.T) {
	s := limiter.Slot{ID: limiter.ID{Hi: math.MaxUint64, Lo: math.MaxUint64}, Origin: math.MaxUint64, At: math.MaxInt64,
		Cur: math.MinInt32, Prev: math.MinInt32, Version: math.MaxUint64, Expires: math.MaxUint32, Fill: 255, Paced: math.MaxInt64}
	for range limiter.KnownMost {
		s.Knows = append(s.Knows, limiter.Known{Origin: math.MaxUint64, Version: math.MaxUint64})
	}
	require.LessOrEqual(t, len(appendSlot(nil, &s)), slotMax)
	ship := shipCall{fingerprint: math.MaxUint64}
	for range shipSlots {
		ship.slots = append(ship.slots, s)
	}
	const overhead = 16
	require.Less(t, len(ship.AppendRequest(nil)), transport.MaxFrame-overhead)
	undos := undoCall{}
	for range undosFrame {
		undos.list = append(undos.list, undo{id: s.ID, lim: limiter.Limit{Quota: math.MaxInt64, Window: math.MaxInt64, Burst: math.MaxInt64},
			cost: math.MaxInt64, asker: math.MaxUint64, number: math.MaxUint64, window: math.MaxInt64})
	}
	require.Less(t, len(undos.AppendRequest(nil)), transport.MaxFrame-overhead)
	var claim claimCall
	for range claimParts {
		claim.names = append(claim.names, strings.Repeat("x", nameMax))
	}
	require.Less(t, len(claim.appendAnswer(nil)), transport.MaxFrame-overhead)
	h := hello{name: strings.Repeat("x", nameMax), addr: strings.Repeat("x", 64), origin: math.MaxUint64, scheme: strings.Repeat("x", schemeMax)}
	require.Less(t, len(h.encode()), transport.MaxHello)
}

// A newer minor version may add elements at the end.
func TestWireSkipsWhatItDoesNotKnow(t *testing.T) {
	wire := append(aTake.AppendRequest(nil), 0x93, 1, 0xc0, 0xa1, 'x') // one more: [1, nil, "x"]
	wire[0]++
	var take takeCall
	require.NoError(t, take.readRequest(wire))
	require.Equal(t, aTake, take)
}

// The hand-written shapes are msgpack, as the library reads it.
func TestWireIsMsgpack(t *testing.T) {
	var fields []any
	require.NoError(t, msgpack.Unmarshal(aTake.AppendRequest(nil), &fields))
	require.EqualValues(t, uint64(1<<63), fields[0])
	require.EqualValues(t, 100, fields[2])
	require.Len(t, fields, takeFields)
	var ship []any
	require.NoError(t, msgpack.Unmarshal(aShip.AppendRequest(nil), &ship))
	slot := ship[2].([]any)[0].([]any)
	require.Len(t, slot, slotFields)
	require.EqualValues(t, -4, slot[4])
}

// FuzzWire feeds all readers of bytes from peers. None may panic; what a reader
// accepts, it reads the same again after writing it.
func FuzzWire(f *testing.F) {
	for _, seed := range [][]byte{aTake.AppendRequest(nil), anAnswer.appendAnswer(nil), aShip.AppendRequest(nil),
		aClaim.AppendRequest(nil), aClaim.appendAnswer(nil), anUndo.AppendRequest(nil), aComplete.AppendRequest(nil), aTime.appendAnswer(nil), aKeep.AppendRequest(nil),
		hello{name: "n"}.encode(), {0xdd, 0xff, 0xff, 0xff, 0xff}, {}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var take, again takeCall
		if take.readRequest(b) == nil {
			require.NoError(t, again.readRequest(take.AppendRequest(nil)))
			require.Equal(t, take, again)
			require.NoError(t, take.lim.Validate())
		}
		var answer takeCall
		_ = answer.ReadAnswer(b)
		if ship, err := readWhole(b); err == nil {
			again, err := readWhole(ship.AppendRequest(nil))
			require.NoError(t, err)
			require.Equal(t, ship, again)
		}
		var claim claimCall
		if claim.readRequest(b) == nil {
			for _, p := range claim.parts {
				require.Less(t, p, limiter.Partitions)
			}
		}
		_ = (&claimCall{parts: make([]int, 2)}).ReadAnswer(b)
		var complete completeCall
		if complete.readRequest(b) == nil {
			require.Less(t, complete.part, limiter.Partitions)
		}
		_ = (&timeCall{}).ReadAnswer(b)
		_ = (&caughtUpCall{}).readRequest(b)
		var lease, again2 leaseCall
		if lease.readRequest(b) == nil {
			require.NoError(t, again2.readRequest(lease.AppendRequest(nil)))
			require.Equal(t, lease, again2)
			require.NoError(t, lease.lim.Validate())
			require.False(t, lease.want < 0)
		}
		if lease.ReadAnswer(b) == nil {
			require.True(t, lease.slice >= 0 && lease.slice <= limiter.MaxQuota)
		}
		var keep, again3 keepCall
		if keep.readRequest(b) == nil {
			require.NoError(t, again3.readRequest(keep.AppendRequest(nil)))
			require.Equal(t, keep, again3)
			require.Positive(t, keep.cost)
		}
		var recall recallCall
		_ = recall.readRequest(b)
		if recall.ReadAnswer(b) == nil {
			require.True(t, recall.left >= 0 && recall.left <= limiter.MaxQuota)
		}
		var undos, undos2 undoCall
		if undos.readRequest(b) == nil {
			require.LessOrEqual(t, len(undos.list), undosFrame)
			require.NoError(t, undos2.readRequest(undos.AppendRequest(nil)))
			require.Equal(t, undos, undos2)
		}
		_ = undos.ReadAnswer(b)
		if h, err := readHello(b); err == nil {
			h2, err := readHello(h.encode())
			require.NoError(t, err)
			require.Equal(t, h, h2)
		}
	})
}

// FuzzShipAgainstLibrary writes a slot with the library and reads it by hand.
func FuzzShipAgainstLibrary(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), int64(4), int32(5), int32(-6), uint64(7), uint32(8), uint8(9))
	f.Fuzz(func(t *testing.T, hi, lo, origin uint64, at int64, cur, prev int32, version uint64, expires uint32, fill uint8) {
		want := limiter.Slot{ID: limiter.ID{Hi: hi, Lo: lo}, Origin: limiter.Origin(origin), At: at, Cur: cur, Prev: prev,
			Version: version, Expires: expires, Fill: fill}
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		for _, err := range []error{e.EncodeArrayLen(3), e.EncodeUint(1), e.EncodeInt(2), e.EncodeArrayLen(1), e.EncodeArrayLen(slotFields),
			e.EncodeUint(hi), e.EncodeUint(lo), e.EncodeUint(origin), e.EncodeInt(at), e.EncodeInt(int64(cur)), e.EncodeInt(int64(prev)),
			e.EncodeUint(version), e.EncodeUint(uint64(expires)), e.EncodeUint(uint64(fill))} {
			require.NoError(t, err)
		}
		byHand := shipCall{fingerprint: 1, now: 2, slots: []limiter.Slot{want}}
		ship, err := readWhole(buf.Bytes())
		require.NoError(t, err)
		require.Equal(t, byHand, ship)
		require.Equal(t, buf.Bytes(), byHand.AppendRequest(nil))
	})
}
