package membership

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
)

// gossipKeys are the keys that memberlist has of secrets.
func gossipKeys(secrets [][]byte) (keys [][]byte) {
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, s, nil, "weir gossip v1", 32)
		if err != nil {
			panic(err) // only for a length that HKDF cannot give
		}
		keys = append(keys, key)
	}
	return keys
}

// SetSecrets replaces the secrets: gossip is sealed by the first, and opened by any. There must be
// one before and after. One call at a time.
func (g *Gossip) SetSecrets(secrets [][]byte) error {
	keys := gossipKeys(secrets)
	for _, k := range keys {
		if err := g.ring.AddKey(k); err != nil {
			return err
		}
	}
	if err := g.ring.UseKey(keys[0]); err != nil {
		return err
	}
	return g.dropBut(keys)
}

// dropBut removes all keys but these, of which the first is in use. memberlist reads its list of
// keys without a lock while RemoveKey moves what follows the removed one: so it must be the last
// there. Where it is not, the kept ones are put before it, and each is in use for an instant.
func (g *Gossip) dropBut(keep [][]byte) error {
	kept := func(key []byte) bool {
		return slices.ContainsFunc(keep, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	all := slices.Clone(g.ring.GetKeys())
	if slices.ContainsFunc(all[:len(keep)], func(k []byte) bool { return !kept(k) }) {
		for _, k := range slices.Backward(keep) {
			if err := g.ring.UseKey(k); err != nil {
				return err
			}
		}
		all = slices.Clone(g.ring.GetKeys())
	}
	for _, k := range slices.Backward(all) {
		if kept(k) {
			continue
		}
		if err := g.ring.RemoveKey(k); err != nil {
			return err
		}
	}
	return nil
}
