package middleware

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/weir-go/weir/middleware/internal/clientip"
)

// Who looks at what a policy does, without being told whom it is about: rules, numbers that stand
// for budgets, and subjects in the words of a person.

// Identifier is what a [Limiter] can be besides, as nodes of a cluster are: one that has a number
// for each key, which tells nothing of the key to who does not know the limiter's secret.
type Identifier interface {
	KeyID(key string) uint64
}

// keyID is the limiter's number for a key, or one of this Middleware alone.
func (m *Middleware) keyID(key string) uint64 {
	if m.identifier != nil {
		return m.identifier.KeyID(key)
	}
	return maphash.String(m.peers.seed, key)
}

// KeyID is [Event].KeyID of a subject under a rule, whose parts are those of [BudgetKey]. The error
// wraps [ErrRule].
func (m *Middleware) KeyID(rule string, parts ...string) (uint64, error) {
	_, key, err := m.named(rule, parts)
	if err != nil {
		return 0, err
	}
	return m.keyID(key), nil
}

// Rules are those of the policy in force, in the order of their names. Who gets them must not change
// what they refer to.
func (m *Middleware) Rules() []Rule {
	rules := m.policy.Load().rules
	all := make([]Rule, 0, len(rules))
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		all = append(all, rules[name])
	}
	return all
}

// ErrParts is wrapped by the errors of [Middleware.Parts] about words that no request's subject under
// the rule can be.
var ErrParts = errors.New("middleware: no such subject")

// Parts are the parts of a subject under a rule, as [BudgetKey] wants them, from words that a person
// writes, one for each part: an address as the rule's [ClientIP] counts it, such as "2001:db8::5" by
// its network, and a token of [Bearer] by its hash. A [FirstOf] has one word: which of its keys, from 0, a
// colon, and a word for that one. All other words are the parts themselves. Under a rule with [Shared] there is
// one budget, whatever the words are; and without words it is the one of requests without a key, where
// the rule has that. The error wraps [ErrRule], or [ErrParts] where no request can have that subject.
func (m *Middleware) Parts(rule string, words ...string) ([]string, error) {
	r, _, err := m.named(rule, nil)
	if err != nil {
		return nil, err
	}
	keys := []Key{r.Key}
	if r.Key.joins != nil {
		keys = r.Key.joins
	}
	switch {
	case r.Key.shared, len(words) == 0 && r.Absent == AbsentShared:
		return nil, nil
	case len(words) != len(keys):
		return nil, fmt.Errorf("%w: the number of words for %v is %d, not %d", ErrParts, r.Key, len(keys), len(words))
	}
	parts := make([]string, len(words))
	for i, k := range keys {
		if parts[i], err = k.written(m.policy.Load().address, strings.TrimSpace(words[i])); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrParts, err)
		}
	}
	if r.Key.joins != nil && len(parts) == 1 {
		return []string{JoinSubject(parts...)}, nil
	}
	return parts, nil
}

// written is the subject of a key of its own that a person writes so.
func (k Key) written(policy Address, word string) (string, error) {
	switch {
	case k.bind == nil:
		return addressOf(policy, word)
	case k.word != nil:
		return k.word(policy, word)
	}
	return word, nil
}

// addressOf is the subject of an address; a network and what stands for no address are subjects already.
func addressOf(a Address, word string) (string, error) {
	if _, err := netip.ParsePrefix(word); err == nil || word == clientip.Unreadable {
		return word, nil
	}
	addr, err := netip.ParseAddr(word)
	if err != nil {
		return "", fmt.Errorf("%q is not an address", word)
	}
	return cmp.Or(a.Subject(addr), word), nil
}

// firstWord is the subject of what a person writes for a FirstOf.
func firstWord(keys []Key) func(Address, string) (string, error) {
	return func(policy Address, word string) (string, error) {
		i, rest := cutLength(word)
		if i >= len(keys) {
			return "", fmt.Errorf("%q does not begin with which of the %d keys it is of: a number from 0, and a colon", word, len(keys))
		}
		subject, err := keys[i].written(policy, rest)
		return FirstOfSubject(i, subject), err
	}
}
