package middleware

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unsafe"

	"github.com/weir-go/weir/limiter"
)

// Key finds the subject of a request: the one whose budget it spends. Keys are made by
// [ClientIP], [Header], [Bearer], [Func] and so on, and combined by [Join] and [FirstOf].
// The zero Key is [ClientIP].
type Key struct {
	// name is for error texts, such as "header X-Api-Key".
	name string
	// bind ties the key to the policy and the pattern that it is used with.
	bind func(binding) (appendSubject, error)
	// parts takes a subject apart; nil if it has none.
	parts func(subject string) []string
	// word is the subject of what a person writes; nil if that is the subject.
	word func(policy Address, word string) (string, error)
	// joins are the keys of a Join.
	joins []Key
	// shared says that there is no subject: it is Shared.
	shared bool
}

// appendSubject appends the subject of r to b, or reports that there is none. It gets a
// buffer so that the common keys need not allocate.
type appendSubject func(b []byte, r *http.Request) ([]byte, bool)

// binding is what a key may depend on besides the request.
type binding struct {
	policy  *Policy
	pattern string // "" for the default rules
	reads   *reads
}

// String names the kind of the key, never a subject.
func (k Key) String() string {
	if k.bind == nil {
		return "client-ip"
	}
	return k.name
}

// bound resolves the zero Key and binds.
func (k Key) bound(b binding) (appendSubject, error) {
	if k.bind == nil {
		k = ClientIP()
	}
	return k.bind(b)
}

// simple is a key that depends on the request alone and cannot be misconfigured.
func simple(name string, f appendSubject) Key {
	return Key{name: name, bind: func(binding) (appendSubject, error) { return f, nil }}
}

// Shared puts all requests on one budget.
func Shared() Key {
	k := simple("shared", func(b []byte, _ *http.Request) ([]byte, bool) { return b, true })
	k.shared = true
	return k
}

// Func is a key of your own. An empty subject counts as absent. f must be safe for
// concurrent use.
func Func(f func(r *http.Request) (subject string, ok bool)) Key {
	return Key{name: "func", bind: func(bd binding) (appendSubject, error) {
		if f == nil {
			return nil, errors.New("the function is nil")
		}
		bd.reads.anything()
		return func(b []byte, r *http.Request) ([]byte, bool) {
			s, ok := f(r)
			return append(b, s...), ok && s != ""
		}, nil
	}}
}

// Join is one subject of several: each combination has its own budget. It is absent
// where one of them is.
func Join(keys ...Key) Key {
	return Key{name: combined("join", keys), parts: joined(keys), joins: keys, bind: func(bd binding) (appendSubject, error) {
		parts, err := bindAll(keys, bd)
		if err != nil {
			return nil, err
		}
		return func(b []byte, r *http.Request) ([]byte, bool) {
			ok := true
			for _, part := range parts {
				from := len(b)
				if b, ok = part(b, r); !ok {
					return b, false
				}
				// Each part is preceded by its length: without it ("a", "bc") and
				// ("ab", "c") would be one subject, and a client could pick another's.
				var digits [21]byte
				b = slices.Insert(b, from, appendLength(digits[:0], len(b)-from)...)
			}
			return b, true
		}, nil
	}}
}

// FirstOf is the first of keys that is there, such as the API key, else the address.
// Subjects of different keys never meet: a client that sends an address as its API
// key does not spend that address's budget.
func FirstOf(keys ...Key) Key {
	return Key{name: combined("first-of", keys), parts: firstOf(keys), word: firstWord(keys), bind: func(bd binding) (appendSubject, error) {
		parts, err := bindAll(keys, bd)
		if err != nil {
			return nil, err
		}
		return func(b []byte, r *http.Request) ([]byte, bool) {
			from := len(b)
			for i, part := range parts {
				var ok bool
				if b, ok = part(appendLength(b[:from], i), r); ok {
					return b, true
				}
			}
			return b[:from], false
		}, nil
	}}
}

// combined names a key made of others.
func combined(kind string, keys []Key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	return kind + "(" + strings.Join(names, ", ") + ")"
}

// bindAll binds the parts of a combined key.
func bindAll(keys []Key, bd binding) ([]appendSubject, error) {
	if len(keys) == 0 {
		return nil, errors.New("it has no parts")
	}
	parts := make([]appendSubject, len(keys))
	for i, k := range keys {
		var err error
		if parts[i], err = k.bound(bd); err != nil {
			return nil, fmt.Errorf("%v: %w", k, err)
		}
	}
	return parts, nil
}

// subjectMax is the longest subject that is used as it is. With the longest rule name it
// stays well below limiter.MaxKeyLen.
const subjectMax = 512

// appendKey appends the limiter's key for a subject of a rule. An over-long subject is
// hashed rather than refused or cut: a client must neither switch its limit off nor
// land on another's budget by sending a long value. The hash comes in a part of its own,
// so no short subject can equal it. Before a namespace stands an empty part, as no rule's
// name is empty.
func appendKey(b []byte, namespace, rule string, subject []byte) []byte {
	if namespace != "" {
		b = limiter.AppendKey(b, "", namespace)
	}
	if len(subject) > subjectMax {
		sum := sha256.Sum256(subject)
		return limiter.AppendKey(b, rule, "sha256", string(sum[:]))
	}
	return limiter.AppendKey(b, rule, view(subject))
}

// view is b as a string without a copy, for as long as b does not change.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
