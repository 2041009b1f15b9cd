package ledger

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"time"
	"unsafe"

	"github.com/dchest/siphash"
)

// Partitions is the number of parts into which all ids fall. Placement, storage,
// locks and hand-over go by partition. It is a constant, not a setting: two nodes
// that differed would disagree for ever. It is prime, and large enough to spread over
// some fifty nodes.
const Partitions = 1021

// ID stands for a budget: a keyed 128-bit hash of the key, and the limit's window
// and algorithm. Only ids are stored and travel; who does not know the hash's key
// can neither read a key from an id, nor find two keys with one id.
type ID struct{ Hi, Lo uint64 }

// Partition is the partition of the id, 0 to Partitions-1. All budgets of one key
// are in one partition.
func (id ID) Partition() int { return int(id.Lo % Partitions) }

// Hasher makes ids. All nodes of a cluster have the same one.
type Hasher struct{ k0, k1 uint64 }

// NewHasher derives the hash's key from a secret by HKDF-SHA256.
func NewHasher(secret []byte) Hasher {
	k, err := hkdf.Key(sha256.New, secret, nil, "weir key ids v1", 16)
	if err != nil {
		panic(err) // only for a length that HKDF cannot give
	}
	return Hasher{binary.LittleEndian.Uint64(k), binary.LittleEndian.Uint64(k[8:])}
}

// ID gives the id of a key under limits of a window and an algorithm, by SipHash-2-4 with
// a 128-bit result (Aumasson and Bernstein, 2012).
func (h Hasher) ID(key string, window time.Duration, a Algorithm) ID {
	lo, hi := siphash.Hash128(h.k0, h.k1, unsafe.Slice(unsafe.StringData(key), len(key)))
	// The hash is uniform and secret, so a public difference per window and
	// algorithm keeps budgets apart as well as hashing it would.
	return ID{Hi: hi ^ apart(window, a), Lo: lo}
}

// Mark tells hashers apart, and nothing of their keys to who does not know them.
func (h Hasher) Mark() uint64 {
	return max(siphash.Hash(h.k0, h.k1, []byte("weir: which ids are these?")), 1)
}

// LocalHasher makes ids that never leave the process. Without a peer to agree with,
// the hash can be the one of Go's maps, which most processors compute in half the
// time of SipHash. Two hashes under two random seeds make the 128 bits. Who sends
// keys does not learn the seeds, and sees no hash: as with a map, he cannot aim at
// one partition or place. A collision of both hashes would be two keys with one
// budget, never a key with more than its budget.
type LocalHasher struct{ hi, lo maphash.Seed }

// NewLocalHasher makes one unlike any other.
func NewLocalHasher() LocalHasher { return LocalHasher{maphash.MakeSeed(), maphash.MakeSeed()} }

// ID gives the id of a key under limits of a window and an algorithm.
func (h *LocalHasher) ID(key string, window time.Duration, a Algorithm) ID {
	return ID{Hi: maphash.String(h.hi, key) ^ apart(window, a), Lo: maphash.String(h.lo, key)}
}

// apart is what tells the ids of a key's budgets from each other.
func apart(window time.Duration, a Algorithm) uint64 { return mix(uint64(window)<<2 | uint64(a)) }

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection in
// which every bit of x changes about half of the bits of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// windowEnd is the end of the window of length w in which now lies. Windows tile
// time from a phase of the id's own: all nodes agree on it without talking, and
// the resets of different keys do not stampede.
func windowEnd(id ID, w, now int64) int64 {
	phase := int64(id.Hi >> 1)
	if now < 0 {
		phase %= w // or the difference might not fit
	}
	left := (phase - now) % w // the phase itself need not be reduced: one division, not two
	if left <= 0 {
		left += w
	}
	return now + left
}

// WindowStart is when the window began that a limit counts in at now; for a token
// bucket, which has none, a window's length before now.
func WindowStart(id ID, l *Limit, now int64) int64 {
	if l.Algorithm == TokenBucket {
		return now - int64(l.Window)
	}
	return windowEnd(id, int64(l.Window), now) - int64(l.Window)
}
