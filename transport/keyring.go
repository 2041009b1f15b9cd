package transport

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"sync/atomic"
)

// Keyring is the secrets of a process: what it proves, and what it accepts of others. It may
// change while peers and servers use it: they share it, and look at it with each handshake. The
// connections that there are follow when they are told to: see [Peer.Renew] and [Server.Renew].
// It is safe for concurrent use.
type Keyring struct{ keys atomic.Pointer[[]ringKey] }

// ringKey is what a secret turns into.
type ringKey []byte

// NewKeyring makes a ring of secrets: see [Keyring.Set].
func NewKeyring(secrets ...[]byte) *Keyring {
	k := &Keyring{}
	k.Set(secrets...)
	return k
}

// Set replaces all secrets. The first is the one that this side proves when it dials; whoever
// proves any of them is let in. There must be one at least.
func (k *Keyring) Set(secrets ...[]byte) {
	keys := make([]ringKey, 0, len(secrets))
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, s, nil, keyInfo, sha256.Size)
		if err != nil {
			panic(err) // only for a length that HKDF cannot give
		}
		keys = append(keys, key)
	}
	k.keys.Store(&keys)
}

// first is the key to prove.
func (k *Keyring) first() ringKey { return (*k.keys.Load())[0] }

// empty says that there is no secret at all.
func (k *Keyring) empty() bool { return k == nil || len(*k.keys.Load()) == 0 }

// has says whether a key is still accepted.
func (k *Keyring) has(key ringKey) bool {
	return slices.ContainsFunc(*k.keys.Load(), func(x ringKey) bool { return bytes.Equal(x, key) })
}

// proven is the key of which got is the proof for a channel, nil if it is of none. How long it
// takes does not depend on which.
func (k *Keyring) proven(exporter []byte, role string, got []byte) (found ringKey) {
	for _, key := range *k.keys.Load() {
		if hmac.Equal(got, key.proof(exporter, role)) {
			found = key
		}
	}
	return found
}

// proof shows that this side knows the secret, to whoever is at the other end of the TLS channel
// that the exporter is of, and to nobody else: a relay has two channels, with two exporters.
func (key ringKey) proof(exporter []byte, role string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(role))
	mac.Write(exporter)
	return mac.Sum(nil)
}
