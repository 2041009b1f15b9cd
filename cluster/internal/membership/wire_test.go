package membership

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var aRoster = []Entry{{Process: proc("node0", 0)}, {Process: proc("node1", 9), Addr: "127.0.0.1:7946", State: Missing, Gone: time.Minute}}

// What goes with gossip: nodes of different builds must agree on it.
func TestWire(t *testing.T) {
	const wantMeta = "9401d92f636f6e73697374656e742d312e302e3020736970686173682d322d3420703d3130323120723d3230206c3d312e323509c3"
	const wantRoster = "9295a56e6f646530a000000095a56e6f646531ae3132372e302e302e313a373934360903cf0000000df8475800"
	meta := Meta{Origin: 9, Leaving: true}
	require.Equal(t, wantMeta, hex.EncodeToString(meta.Encode()))
	got, err := ReadMeta(meta.Encode())
	require.NoError(t, err)
	require.Equal(t, meta, got)
	require.Less(t, len(Meta{Origin: math.MaxUint64}.Encode()), 512, "memberlist panics above")
	require.Equal(t, wantRoster, hex.EncodeToString(AppendRoster(nil, aRoster)))
	r, err := ReadRoster(AppendRoster(nil, aRoster))
	require.NoError(t, err)
	require.Equal(t, aRoster, r)
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
