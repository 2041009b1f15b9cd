package membership

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

// After each change gossip is sealed by the first secret's key, and opened by those of all, and by
// no other: whatever the secrets were before. Who reads the list meanwhile, as memberlist does
// without a lock, finds in it what he took (the race detector looks, too).
func TestGossipKeysFollowSecrets(t *testing.T) {
	all := [][]byte{[]byte("one"), []byte("two"), []byte("three"), []byte("four")}
	first := gossipKeys(all[:1])
	ring, err := memberlist.NewKeyring(first, first[0])
	require.NoError(t, err)
	g := &Gossip{ring: ring}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		taken := ring.GetKeys()
		was := slices.Clone(taken)
		secrets := slices.Clone(all)
		r.Shuffle(len(secrets), func(i, j int) { secrets[i], secrets[j] = secrets[j], secrets[i] })
		secrets = secrets[:1+r.IntN(len(secrets))]
		require.NoError(t, g.SetSecrets(secrets))
		want, got := gossipKeys(secrets), ring.GetKeys()
		require.Equal(t, want[0], ring.GetPrimaryKey())
		require.ElementsMatch(t, want, got)
		require.True(t, slices.EqualFunc(was, taken, bytes.Equal), "what somebody reads was changed")
	}
}

// In a rotation no key is ever in use that others do not know yet.
func TestGossipKeyInUseDuringARotation(t *testing.T) {
	before, after := []byte("old"), []byte("new")
	keys := gossipKeys([][]byte{before, after})
	ring, err := memberlist.NewKeyring(keys[:1], keys[0])
	require.NoError(t, err)
	g := &Gossip{ring: ring}
	for _, step := range []struct{ secrets, want [][]byte }{
		{[][]byte{before, after}, keys},
		{[][]byte{after, before}, [][]byte{keys[1], keys[0]}},
		{[][]byte{after}, keys[1:]},
	} {
		require.NoError(t, g.SetSecrets(step.secrets))
		require.Equal(t, step.want, ring.GetKeys())
	}
}
