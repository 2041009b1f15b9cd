package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// someView is the view of a node "a" beside "b", and a partition that each of them owns.
func someView(t *testing.T) (v *view, b *peer, mine, theirs int) {
	table, err := ring.New([]string{"a", "b"})
	require.NoError(t, err)
	b = &peer{name: "b"}
	v = &view{table: table, self: 0, peers: []*peer{nil, b}, all: []*peer{b}, byName: map[string]*peer{"b": b}}
	mine, theirs = -1, -1
	for part := range ledger.Partitions {
		if v.owns(part) {
			mine = part
		} else {
			theirs = part
		}
	}
	return v, b, mine, theirs
}

// After a heal, what a node holds for another owner it may admit as its side might before:
// the other side's slots go to the owner.
func TestShareOfWhatAnotherOwns(t *testing.T) {
	v, _, mine, theirs := someView(t)
	v.sets, v.before, v.backAt = membership.Size{With: 6, Base: 6}, membership.Size{With: 2, Base: 5}, time.Minute
	for _, c := range []struct {
		mode  limiter.Split
		part  int
		age   time.Duration
		share ledger.Share
	}{
		{limiter.SplitShare, mine, v.backAt + membership.HealTime/2, ledger.Share{}},
		{limiter.SplitShare, theirs, v.backAt + membership.HealTime/2, ledger.Share{Seen: 2, Known: 5}},
		{limiter.SplitShare, theirs, v.backAt + membership.HealTime, ledger.Share{}},
		{limiter.SplitQuorum, theirs, v.backAt + membership.HealTime/2, ledger.Share{}},
		{limiter.SplitFull, theirs, v.backAt + membership.HealTime/2, ledger.Share{}},
	} {
		require.Equal(t, c.share, v.share(c.mode, c.part, c.age), "%v", c)
	}
}

// "Caught up" says also that the peer has what it owns: while this node decides for any
// of it, the peer must not count this node's side as its own.
func TestOwingWhatAnotherOwns(t *testing.T) {
	v, b, mine, theirs := someView(t)
	n := &Node{ledger: ledger.NewLedger(1, 1000)}
	for part := range ledger.Partitions {
		n.ledger.Hold(part, false)
	}
	n.ledger.Hold(mine, true)
	require.Empty(t, n.owing(v))
	n.ledger.Hold(theirs, true)
	require.True(t, n.owing(v)[b])
	n.ledger.Hold(theirs, false)
	require.Empty(t, n.owing(v))
	n.seats.of[theirs].cession = &cession{to: b}
	require.True(t, n.owing(v)[b])
}

// Who holds which rank of a partition, and which one before, against the same in other words.
func TestHoldersIn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	procs := make([]*peer, 12)
	for i := range procs {
		procs[i] = &peer{name: fmt.Sprintf("n%d", i), origin: ledger.Origin(10 + i)}
	}
	some := func() *view {
		names, byName := []string{"self"}, map[string]*peer{}
		for _, p := range procs {
			if r.IntN(2) == 0 {
				names, byName[p.name] = append(names, p.name), p
			}
		}
		table, err := ring.New(names)
		require.NoError(t, err)
		v := &view{table: table, self: table.Index("self")}
		for _, name := range table.Members() {
			v.peers = append(v.peers, byName[name])
		}
		return v
	}
	for range 40 {
		n, old, v := &Node{cfg: Config{Replicas: 1 + r.IntN(2)}}, some(), some()
		holder := func(v *view, part, rank int) string {
			if i := v.table.Holder(part, rank); i >= 0 {
				return v.table.Members()[i]
			}
			return "self"
		}
		for part := range ledger.Partitions {
			had, want, wantWas := map[string]int{}, uint8(0), [ledger.Ranks]int{-1, -1, -1}
			for rank := range n.cfg.Replicas + 1 {
				had[holder(old, part, rank)] = rank
			}
			for rank := range n.cfg.Replicas + 1 {
				if name := holder(v, part, rank); name != "self" {
					want |= 1 << rank
					if before, ok := had[name]; ok {
						wantWas[rank] = before
					}
				}
			}
			_, ranks, was := n.holdersIn(old, v, part)
			require.Equal(t, want, ranks)
			require.Equal(t, wantWas, was)
		}
	}
}
