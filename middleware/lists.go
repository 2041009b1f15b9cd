package middleware

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware/internal/clientip"
)

// Match says whom [Policy].Deny or Allow is about: whoever comes from one of its networks,
// and whoever its key finds to be one of its subjects.
type Match struct {
	// Networks are compared with the client's whole address as [Policy].Address finds it.
	Networks []netip.Prefix
	// Subjects are what Key finds, as [BudgetKey] describes: the value of a header, say. The zero
	// Key is [ClientIP].
	Key      Key
	Subjects []string
}

// denied is the name of the rule that a request meets by [Policy].Deny.
const denied = "deny"

// lists are [Policy].Deny and Allow in the form that requests need them.
type lists struct {
	finder      *clientip.Finder
	deny, allow []matcher
	refusal     *rule
}

// matcher is a checked [Match].
type matcher struct {
	networks map[netip.Prefix]bool
	lengths  []int // of the networks, each once: so many questions, however many networks
	subject  appendSubject
	subjects map[string]bool
}

// compileLists checks Deny and Allow; nil where there is neither.
func compileLists(p *Policy) (*lists, error) {
	if len(p.Deny) == 0 && len(p.Allow) == 0 {
		return nil, nil
	}
	ls := &lists{}
	var err error
	if ls.finder, err = p.Address.finder(); err != nil {
		return nil, err
	}
	p.reads.header(p.Address.names()...)
	if ls.deny, err = compileMatches(p, "deny", p.Deny); err != nil {
		return nil, err
	}
	if ls.allow, err = compileMatches(p, "allow", p.Allow); err != nil {
		return nil, err
	}
	ls.refusal, err = compileRule(p, "", Rule{Name: denied, Limit: limiter.Per(0, time.Second)})
	return ls, err
}

// compileMatches checks one of the lists.
func compileMatches(p *Policy, path string, all []Match) (checked []matcher, err error) {
	for i, m := range all {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(m.Networks) == 0 && len(m.Subjects) == 0 {
			return nil, &PolicyError{Path: at, Reason: "is empty: it has no network and no subject"}
		}
		c := matcher{networks: map[netip.Prefix]bool{}, subjects: map[string]bool{}}
		for k, n := range m.Networks {
			plain, ok := clientip.Unmap(n)
			if !ok {
				return nil, fieldError(fmt.Sprintf("%s.networks[%d]", at, k), n, "is not a network")
			}
			if c.networks[plain] = true; !slices.Contains(c.lengths, plain.Bits()) {
				c.lengths = append(c.lengths, plain.Bits())
			}
		}
		for k, s := range m.Subjects {
			if c.subjects[s] = true; s == "" {
				return nil, fieldError(fmt.Sprintf("%s.subjects[%d]", at, k), s, "is nobody")
			}
		}
		if len(m.Subjects) > 0 {
			if c.subject, err = m.Key.bound(binding{policy: p, reads: p.reads}); err != nil {
				return nil, within(at, keyError("key", m.Key, err))
			}
		}
		checked = append(checked, c)
	}
	return checked, nil
}

// listed is what the lists say of a request.
type listed uint8

const (
	unlisted listed = iota
	isDenied
	isAllowed
)

// of looks a request up. To be let through an address must be in a network as it stands: an IPv4
// address inside of it is one that whoever runs a translator could make up.
func (ls *lists) of(r *http.Request) listed {
	addr, known := ls.finder.Client(r.RemoteAddr, onUnixSocket(r), r.Header)
	inside := addr
	if known {
		inside = ls.finder.Inside(addr)
	}
	for i := range ls.deny {
		if m := &ls.deny[i]; known && (m.has(addr) || m.has(inside)) || m.names(r) {
			return isDenied
		}
	}
	for i := range ls.allow {
		if m := &ls.allow[i]; known && m.has(addr) || m.names(r) {
			return isAllowed
		}
	}
	return unlisted
}

// has reports whether an address is in one of the networks.
func (m *matcher) has(a netip.Addr) bool {
	for _, bits := range m.lengths {
		if n, err := a.Prefix(bits); err == nil && m.networks[n] {
			return true
		}
	}
	return false
}

// names reports whether the key finds one of the subjects.
func (m *matcher) names(r *http.Request) bool {
	if m.subject == nil {
		return false
	}
	s, ok := m.subject(nil, r)
	return ok && m.subjects[string(s)]
}

// before is the route that refuses, and what a denied request would meet beside it where
// the whole policy is a shadow.
func (ls *lists) before(rt *route) *route {
	one := &route{rules: []*rule{ls.refusal}}
	if rt != nil {
		with := *rt
		with.rules = append(one.rules, rt.rules...)
		return &with
	}
	return one
}
