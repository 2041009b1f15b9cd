package membership

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/transport"
)

var aRoster = []Entry{{Process: proc("node0", 0)}, {Process: proc("node1", 9), Addr: "127.0.0.1:7946", State: Missing, Gone: time.Minute}}

// What goes with gossip: nodes of different builds must agree on it.
func TestWire(t *testing.T) {
	const wantMeta = "9501d92f636f6e73697374656e742d312e302e3020736970686173682d322d3420703d3130323120723d3230206c3d312e323509c3a5302e392e30"
	const wantRoster = "9295a56e6f646530a000000095a56e6f646531ae3132372e302e302e313a373934360903cf0000000df8475800"
	meta := Meta{Origin: 9, Leaving: true, Weir: "0.9.0"}
	require.Equal(t, wantMeta, hex.EncodeToString(meta.Encode()))
	got, err := ReadMeta(meta.Encode())
	require.NoError(t, err)
	require.Equal(t, meta, got)
	require.Less(t, len(Meta{Origin: math.MaxUint64, Weir: strings.Repeat("x", versionMax)}.Encode()), 512, "memberlist panics above")
	require.Equal(t, wantRoster, hex.EncodeToString(AppendRoster(nil, aRoster)))
	r, err := ReadRoster(AppendRoster(nil, aRoster))
	require.NoError(t, err)
	require.Equal(t, aRoster, r)
}

// A node of an earlier version does not tell which; one of a newer minor version tells more. What
// nobody can show is not taken over, and is no reason to refuse a node.
func TestMetaOfOtherVersions(t *testing.T) {
	now := Meta{Origin: 9, Leaving: true, Weir: "0.9.0"}
	longer := append(now.Encode(), 0x91, 0xa1, 'x')
	longer[0]++
	got, err := ReadMeta(longer)
	require.NoError(t, err)
	require.Equal(t, now, got)
	shorter := Meta{Origin: 9, Leaving: true}.Encode()
	shorter = shorter[:len(shorter)-1]
	shorter[0]--
	got, err = ReadMeta(shorter)
	require.NoError(t, err)
	require.Equal(t, Meta{Origin: 9, Leaving: true}, got)
	got, err = ReadMeta(Meta{Origin: 9, Weir: strings.Repeat("x", versionMax+1)}.Encode())
	require.NoError(t, err)
	require.Equal(t, Meta{Origin: 9}, got)
	other := now.Encode()
	other[1]++
	_, err = ReadMeta(other)
	require.ErrorContains(t, err, "run versions of one wire, see docs/upgrading.md: its gossip is of version 2, ours is 1")
	other = now.Encode()
	other[4]++
	_, err = ReadMeta(other)
	require.ErrorContains(t, err, `run versions of one ring scheme, see docs/upgrading.md: that of its weir "0.9.0" is "donsistent`)
}

// Rosters of newer minor versions have more fields.
func TestRosterOfANewerVersion(t *testing.T) {
	b := transport.AppendArrayLen(nil, 1)
	b = transport.AppendArrayLen(b, entryFields+1)
	b = transport.AppendString(transport.AppendString(b, "b"), "b:1")
	b = transport.AppendInt(transport.AppendUint(transport.AppendUint(b, 9), uint64(Missing)), 5)
	r, err := ReadRoster(append(b, 0x91, 0xa1, 'x'))
	require.NoError(t, err)
	require.Equal(t, []Entry{{Process: proc("b", 9), Addr: "b:1", State: Missing, Gone: 5}}, r)
}

func TestWhatRostersRefuse(t *testing.T) {
	for _, e := range []Entry{{}, {Process: proc(strings.Repeat("x", nameMax+1), 1)}, {Process: proc("x", 1), Addr: strings.Repeat("x", addrMax+1)},
		{Process: proc("x", 1), State: Forgotten}, {Process: proc("x", 1), Gone: -1}} {
		_, err := ReadRoster(AppendRoster(nil, []Entry{e}))
		require.ErrorIs(t, err, errRoster, "%+v", e)
	}
	_, err := ReadRoster(append(AppendRoster(nil, aRoster), 0))
	require.ErrorIs(t, err, errRoster)
}

// FuzzGossip feeds the readers of what gossip brings. None may panic; what a reader
// accepts, it reads the same again after writing it; and no roster fills the memory.
func FuzzGossip(f *testing.F) {
	for _, seed := range [][]byte{Meta{Origin: 1}.Encode(), AppendRoster(nil, aRoster), {0xdd, 0xff, 0xff, 0xff, 0xff}, {}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ReadRoster(b); err == nil {
			r2, err := ReadRoster(AppendRoster(nil, r))
			require.NoError(t, err)
			require.ElementsMatch(t, r, r2)
			m := New(proc("self", 1), time.Minute, 0)
			m.Learn(r, time.Hour)
			require.LessOrEqual(t, len(m.byName), VanishedMax)
			require.LessOrEqual(t, len(m.Roster(time.Hour)), VanishedMax+1)
		}
		if m, err := ReadMeta(b); err == nil {
			m2, err := ReadMeta(m.Encode())
			require.NoError(t, err)
			require.Equal(t, m, m2)
		}
	})
}
