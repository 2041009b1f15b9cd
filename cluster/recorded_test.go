package cluster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// What nodes of each version said to each other, in testdata, one file for each version: the
// current code must understand it, and answer it well.

var record = flag.Bool("weir.record", false, "record the conversation of this version")

// recordedFields is how many words a line has: what (a kind by number and name), when in nanoseconds since the virtual clock's
// start, and one or two messages.
const recordedFields = 4

// kinds are the calls, each with its message.
var kinds = map[uint8]struct {
	name string
	make func() wire.Message
}{
	wire.KindTake:     {"take", func() wire.Message { return &wire.Take{} }},
	wire.KindGive:     {"give", func() wire.Message { return &wire.Take{} }},
	wire.KindShip:     {"ship", func() wire.Message { return &wire.Ship{} }},
	wire.KindClaim:    {"claim", func() wire.Message { return &wire.Claim{} }},
	wire.KindComplete: {"complete", func() wire.Message { return &wire.Complete{} }},
	wire.KindTime:     {"time", func() wire.Message { return &wire.Time{} }},
	wire.KindLeaving:  {"leaving", func() wire.Message { return &wire.Leaving{} }},
	wire.KindCaughtUp: {"caught-up", func() wire.Message { return &wire.CaughtUp{} }},
	wire.KindLease:    {"lease", func() wire.Message { return &wire.Lease{} }},
	wire.KindRecall:   {"recall", func() wire.Message { return &wire.Recall{} }},
	wire.KindKeep:     {"keep", func() wire.Message { return &wire.Keep{} }},
	wire.KindUndo:     {"undo", func() wire.Message { return &wire.Undo{} }},
	wire.KindVote:     {"vote", func() wire.Message { return &wire.Vote{} }},
	wire.KindRecord:   {"record", func() wire.Message { return &wire.Record{} }},
	wire.KindRecover:  {"recover", func() wire.Message { return &wire.Recover{} }},
	wire.KindTable:    {"table", func() wire.Message { return &wire.Table{} }},
	wire.KindReset:    {"reset", func() wire.Message { return &wire.Take{} }},
	wire.KindForget:   {"forget", func() wire.Message { return &wire.Forget{} }},
	wire.KindExplain:  {"explain", func() wire.Message { return &wire.Explain{} }},
	wire.KindVouch:    {"vouch", func() wire.Message { return &wire.Vouch{} }},
	wire.KindSilent:   {"silent", func() wire.Message { return &wire.Silent{} }},
}

// exchange is a call, as it was on the wire.
type exchange struct {
	kind            uint8
	at              time.Duration
	request, answer []byte
}

// tap notes what a host's connections carry.
type tap struct {
	*simnet.Host
	began time.Time

	mu    sync.Mutex
	conns []*tapped
}

// tapped is one connection, by who dialled.
type tapped struct {
	net.Conn
	of        *tap
	said, got []byte
	ends      []int // of said, after each write
	when      []time.Duration
}

// Dial opens a connection that is listened in to.
func (h *tap) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := h.Host.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	x := &tapped{Conn: c, of: h}
	h.mu.Lock()
	h.conns = append(h.conns, x)
	h.mu.Unlock()
	return x, nil
}

// Write notes what is said, and when.
func (c *tapped) Write(b []byte) (int, error) {
	c.of.mu.Lock()
	c.said = append(c.said, b...)
	c.ends, c.when = append(c.ends, len(c.said)), append(c.when, time.Since(c.of.began))
	c.of.mu.Unlock()
	return c.Conn.Write(b)
}

// Read notes what is answered.
func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.of.mu.Lock()
	c.got = append(c.got, b[:n]...)
	c.of.mu.Unlock()
	return n, err
}

const probesEnd = 5 * time.Second // after a Close, of gossip's last probe

const (
	recordedPreface  = 38 // bytes of a dialer before its hello
	recordedGreeting = 18 // and of a listener: greeting and status
)

// frames cuts what was sent into frames, and says where in it each ends.
func frames(b []byte, skip int) (all [][]byte, ends []int) {
	for at := skip; len(b) >= at+4; {
		n := int(binary.BigEndian.Uint32(b[at:]))
		if len(b) < at+4+n {
			break
		}
		all, ends = append(all, b[at+4:at+4+n]), append(ends, at+4+n)
		at += 4 + n
	}
	return all, ends
}

// calls are the exchanges of a connection that were answered well.
func (c *tapped) calls(t *testing.T) (all []exchange) {
	said, ends := frames(c.said, recordedPreface)
	got, _ := frames(c.got, recordedGreeting)
	if len(said) == 0 || len(got) == 0 || said[0][0] != 0x94 { // a hello of five elements is a stream's
		return nil
	}
	answers := map[uint64][]byte{}
	for _, f := range got[1:] {
		r := transport.NewReader(f)
		require.Equal(t, 3, r.ArrayLen(3))
		if id := r.Uint(); r.Uint() == 0 {
			answers[id] = r.Rest()
		}
	}
	for i, f := range said[1:] {
		r := transport.NewReader(f)
		require.Equal(t, 3, r.ArrayLen(3))
		id, kind := r.Uint(), uint8(r.Uint())
		if answer, ok := answers[id]; ok {
			write := slices.IndexFunc(c.ends, func(end int) bool { return end >= ends[i+1] })
			all = append(all, exchange{kind, c.when[write], bytes.Clone(r.Rest()), bytes.Clone(answer)})
		}
	}
	return all
}

// converse runs three nodes that say all that nodes say, and returns the lines of a recording.
func converse(t *testing.T) (lines []string) {
	nw, began := simnet.New(simnet.Options{Latency: time.Millisecond}), time.Now()
	taps, nodes := make([]*tap, 3), make([]*Node, 3)
	names := []string{"127.1.0.1", "127.1.0.2", "127.1.0.3"}
	for i, ip := range names {
		taps[i] = &tap{Host: nw.Host(ip, ip), began: began}
	}
	start := func(i int) {
		n, err := Start(t.Context(), Config{Name: names[i], Bind: names[i] + ":7946", Voters: names, Network: taps[i],
			Join: []string{"127.1.0.1:7946", "127.1.0.2:7946"}})
		require.NoError(t, err)
		t.Cleanup(n.Close)
		nodes[i] = n
	}
	for i := range nodes {
		start(i)
	}
	time.Sleep(3 * time.Second)
	for _, l := range []limiter.Limit{limiter.Per(5, time.Hour), limiter.Sliding(5, time.Hour), limiter.Bucket(5, time.Hour, 2),
		{Quota: 5, Window: time.Hour, Split: limiter.SplitQuorum}} {
		for i := range 8 {
			key := fmt.Sprint("key", i)
			for range 3 {
				nodes[0].Take(t.Context(), key, l, 2)
			}
			nodes[0].Give(t.Context(), key, l, 1)
			if d, err := nodes[0].Hold(t.Context(), key, l, 1); err == nil && d.Allowed {
				nodes[0].Keep(key, l, 1, d.Window)
			}
			nodes[0].Explain(t.Context(), key, l)
			nodes[0].Reset(t.Context(), key, l)
		}
	}
	nodes[0].Unreachable(t.Context())
	hot := limiter.Limit{Quota: 10_000, Window: time.Hour, Lease: limiter.LeaseAlways}
	for i := range 200 {
		nodes[0].Take(t.Context(), fmt.Sprint("hot", i%4), hot, 1)
		nodes[1].Take(t.Context(), fmt.Sprint("hot", i%4), hot, 1)
	}
	for _, p := range nodes[0].view.Load().all { // what happens only when something is late
		id := nodes[0].id("late", &hot)
		undo := &wire.Undo{Self: nodes[0].origin, List: []wire.Undone{{ID: id, Limit: hot, Cost: 1, Asker: nodes[0].origin, Number: 9}}}
		require.NoError(t, p.calls.Call(t.Context(), time.Now().Add(time.Second), wire.KindUndo, undo))
		require.NoError(t, p.calls.Call(t.Context(), time.Now().Add(time.Second), wire.KindSilent, &wire.Silent{}))
		vouch := &wire.Vouch{Parts: []int{1, 2}, IDs: []ledger.ID{id}}
		require.NoError(t, p.calls.Call(t.Context(), time.Now().Add(time.Second), wire.KindVouch, vouch))
	}
	time.Sleep(time.Second)
	require.NoError(t, nodes[2].Leave(t.Context()))
	nodes[2].Close()
	time.Sleep(3 * time.Second)
	start(2)
	time.Sleep(3 * time.Second)
	require.NoError(t, nodes[0].Leave(t.Context()))
	lines = append(lines, fmt.Sprintf("meta 0 %x -", nodes[1].gossip.NodeMeta(512)), fmt.Sprintf("roster 0 %x -", nodes[1].gossip.LocalState(false)),
		fmt.Sprintf("hello 0 %x -", nodes[0].hello().Encode()))
	for _, n := range nodes {
		n.Close()
	}
	time.Sleep(probesEnd)
	return append(lines, pick(t, taps)...)
}

// pick keeps of each kind the first exchange, and the one that says most.
func pick(t *testing.T, taps []*tap) (lines []string) {
	var all []exchange
	for _, h := range taps {
		for _, c := range h.conns {
			all = append(all, c.calls(t)...)
		}
	}
	slices.SortStableFunc(all, func(a, b exchange) int { return int(a.at - b.at) })
	keep := map[int]bool{}
	for kind := range kinds {
		first, most := -1, -1
		for i, x := range all {
			if x.kind != kind {
				continue
			}
			if first < 0 {
				first, most = i, i
			}
			if len(x.request)+len(x.answer) > len(all[most].request)+len(all[most].answer) {
				most = i
			}
		}
		require.GreaterOrEqual(t, first, 0, "nobody said %s", kinds[kind].name)
		keep[first], keep[most] = true, true
	}
	for i, x := range all {
		if keep[i] {
			lines = append(lines, fmt.Sprintf("%d:%s %d %x %s", x.kind, kinds[x.kind].name, x.at, x.request, dash(x.answer)))
		}
	}
	return lines
}

func dash(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

// conversation is a file of testdata.
type conversation struct {
	version             string
	meta, roster, hello []byte
	calls               []exchange
}

// conversations are those of all versions. That of this one must be there.
func conversations(t *testing.T) (all []conversation) {
	paths, err := filepath.Glob("testdata/conversation-*.txt")
	require.NoError(t, err)
	require.Contains(t, paths, "testdata/conversation-"+Version+".txt", "record it: go test ./cluster -run TestRecordedConversation -weir.record")
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		r := conversation{version: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "conversation-"), ".txt")}
		lines := bufio.NewScanner(f)
		for lines.Buffer(nil, 1<<20); lines.Scan(); {
			words := strings.Fields(lines.Text())
			require.Len(t, words, recordedFields, path)
			at, err := time.ParseDuration(words[1] + "ns")
			require.NoError(t, err)
			x := exchange{at: at, request: unhex(t, words[2]), answer: unhex(t, words[3])}
			switch words[0] {
			case "meta":
				r.meta = x.request
			case "roster":
				r.roster = x.request
			case "hello":
				r.hello = x.request
			default:
				number, name, _ := strings.Cut(words[0], ":")
				kind, err := strconv.ParseUint(number, 10, 8)
				require.NoError(t, err, words[0])
				x.kind = uint8(kind)
				require.Equal(t, name, kinds[x.kind].name, "a kind's number is for ever")
				r.calls = append(r.calls, x)
			}
		}
		require.NoError(t, lines.Err())
		all = append(all, r)
	}
	return all
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "-"))
	require.NoError(t, err)
	return b
}

// What nodes of each version said is understood, written again as it was understood, and answered
// well by a node of the current code: as it is, and with fields more, as a newer minor version says it.
func TestRecordedConversation(t *testing.T) {
	if *record {
		synctest.Test(t, func(t *testing.T) {
			lines := converse(t)
			require.NoError(t, os.WriteFile("testdata/conversation-"+Version+".txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644))
		})
	}
	for _, r := range conversations(t) {
		t.Run(r.version, func(t *testing.T) {
			_, err := membership.ReadMeta(r.meta)
			require.NoError(t, err)
			roster, err := membership.ReadRoster(r.roster)
			require.NoError(t, err)
			require.Len(t, roster, 3)
			for _, x := range r.calls {
				understood(t, x)
			}
			for _, longer := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) { replay(t, r, longer) })
			}
		})
	}
}

// understood reads both sides of an exchange, and once more what it writes of them.
func understood(t *testing.T, x exchange) {
	name, m, again := kinds[x.kind].name, kinds[x.kind].make(), kinds[x.kind].make()
	require.NoError(t, m.ReadRequest(x.request), name)
	require.NoError(t, again.ReadRequest(m.AppendRequest(nil)), name)
	require.NoError(t, m.ReadAnswer(x.answer), name)
	require.NoError(t, again.ReadAnswer(m.AppendAnswer(nil)), name)
	require.Equal(t, m, again, name)
}
