package middleware

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"
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

// Parts are the parts of a subject under a rule, as [BudgetKey] wants them, from words that a person
// writes, one for each part: an address as the rule's [ClientIP] counts it, such as "2001:db8::5" by
// its network, and a token of [Bearer] by its hash. All other words are the parts themselves, and those
// of a [FirstOf] one word: which of its keys, from 0, a colon, and what that finds. The error wraps [ErrRule].
func (m *Middleware) Parts(rule string, words ...string) ([]string, error) {
	r, _, err := m.named(rule, nil)
	if err != nil {
		return nil, err
	}
	keys := []Key{r.Key}
	if r.Key.joins != nil {
		keys = r.Key.joins
	}
	parts := slices.Clone(words)
	for i := range min(len(keys), len(parts)) {
		parts[i] = keys[i].written(m.policy.Load().address, strings.TrimSpace(parts[i]))
	}
	return parts, nil
}

// written is the subject of a key of its own that a person writes so.
func (k Key) written(policy Address, word string) string {
	switch {
	case k.bind == nil:
		return addressOf(policy, word)
	case k.word != nil:
		return k.word(policy, word)
	}
	return word
}

// addressOf is the subject of an address, or the word if it is none.
func addressOf(a Address, word string) string {
	addr, err := netip.ParseAddr(word)
	if err != nil {
		return word
	}
	if s := a.Subject(addr); s != "" {
		return s
	}
	return word
}
