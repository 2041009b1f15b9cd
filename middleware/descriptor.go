package middleware

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/weir-go/weir/limiter"
)

// What proxies ask about, which know no route: descriptors, in the words of Envoy's rate limit
// service. Which rule counts for one is found in a tree, a level for each of its entries.

// Domain has the rules for the descriptors of one domain.
type Domain struct {
	// Name is the domain's, as proxies send it.
	Name string
	// Descriptors are the first level of the tree.
	Descriptors []DescriptorNode
}

// DescriptorNode is a place in the tree of a [Domain].
type DescriptorNode struct {
	// Key and Value are those of an entry. A Value that ends in "*" is every value that begins
	// so, and "" is every value. What is written out counts before a beginning, a longer beginning
	// before a shorter one, and each of them before "".
	Key, Value string
	// Rule counts for descriptors that end here, each with a budget for all its keys and values as
	// they were sent. Its Key, Absent, Plan, LimitOf, CostOf and Count have no meaning and must not be
	// set; its Cost counts where the Descriptor has none. nil means that none counts here.
	Rule *Rule
	// Unlimited says so of descriptors that end here, in the place of a rule.
	Unlimited bool
	// Descriptors are the next level.
	Descriptors []DescriptorNode
}

// Entry is one key and its value in a [Descriptor].
type Entry struct{ Key, Value string }

// Descriptor is one of what a [Call] asks about in its Domain.
type Descriptor struct {
	Entries []Entry
	// Cost is what is taken; 0 means the rule's Cost. More than the limit can ever admit is refused.
	Cost int64
	// Look takes nothing, whatever Cost says, and passes.
	Look bool
	// Limit, if set, counts in the place of a rule of the Domain, which must be there: its rule is
	// [RuleOfRequest].
	Limit *limiter.Limit
}

// RuleOfRequest is the name of the rule by which limits count that a [Descriptor] brings itself.
const RuleOfRequest = "limit of the request"

// domain is a checked Domain.
type domain struct {
	root   node
	own    *rule   // RuleOfRequest
	limits *limits // and its budgets
}

// node is a checked DescriptorNode, and what is below it by key.
type node struct {
	rule *rule // nil without
	next map[string]*branches
}

// branches are the nodes of one key.
type branches struct {
	exact    map[string]*node
	prefixes []prefixed // the longest first
	any      *node
}

type prefixed struct {
	prefix string
	node   *node
}

// find is the rule for a descriptor, nil if none counts.
func (d *domain) find(entries []Entry) *rule {
	n := &d.root
	for _, e := range entries {
		b := n.next[e.Key]
		if b == nil {
			return nil
		}
		if n = b.find(e.Value); n == nil {
			return nil
		}
	}
	return n.rule
}

func (b *branches) find(value string) *node {
	if n := b.exact[value]; n != nil {
		return n
	}
	for _, p := range b.prefixes {
		if strings.HasPrefix(value, p.prefix) {
			return p.node
		}
	}
	return b.any
}

// compileDomains checks the domains, and returns them by name.
func compileDomains(p *Policy) (map[string]*domain, error) {
	all := make(map[string]*domain, len(p.Domains))
	for i, d := range p.Domains {
		at := fmt.Sprintf("domains[%d]", i)
		switch {
		case d.Name == "":
			return nil, &PolicyError{Path: at + ".domain", Reason: "is missing"}
		case all[d.Name] != nil:
			return nil, fieldError(at+".domain", d.Name, "is there twice")
		case len(d.Descriptors) == 0:
			return nil, &PolicyError{Path: at + ".descriptors", Reason: "is missing"}
		}
		own, err := compileRule(p, "", Rule{Name: RuleOfRequest, Limit: limiter.Per(1, time.Second)})
		if err != nil {
			return nil, within(at, err)
		}
		c := &domain{own: own, limits: &limits{name: RuleOfRequest, seed: maphash.MakeSeed()}}
		if c.root.next, err = compileNodes(p, at, d.Descriptors); err != nil {
			return nil, err
		}
		all[d.Name] = c
	}
	return all, nil
}

// compileNodes checks one level, and all below it.
func compileNodes(p *Policy, path string, nodes []DescriptorNode) (map[string]*branches, error) {
	next := make(map[string]*branches)
	for i, n := range nodes {
		at := fmt.Sprintf("%s.descriptors[%d]", path, i)
		switch {
		case n.Key == "":
			return nil, &PolicyError{Path: at + ".key", Reason: "is missing"}
		case n.Rule != nil && n.Unlimited:
			return nil, fieldError(at+".unlimited", true, "excludes rule: use one of the two")
		case n.Rule == nil && !n.Unlimited && len(n.Descriptors) == 0:
			return nil, &PolicyError{Path: at + ".rule", Reason: "is missing: without it nothing is limited here or below"}
		}
		c := &node{}
		var err error
		if n.Rule != nil {
			if c.rule, err = compileDescribed(p, at+".rule", *n.Rule); err != nil {
				return nil, err
			}
		}
		if c.next, err = compileNodes(p, at, n.Descriptors); err != nil {
			return nil, err
		}
		if next[n.Key] == nil {
			next[n.Key] = &branches{exact: map[string]*node{}}
		}
		if !next[n.Key].add(n.Value, c) {
			return nil, fieldError(at+".value", n.Value, fmt.Sprintf("is there twice for the key %q", n.Key))
		}
	}
	return next, nil
}

// add adds a node under a value; false if there is one already.
func (b *branches) add(value string, c *node) bool {
	prefix, open := strings.CutSuffix(value, "*")
	switch {
	case value == "":
		if b.any != nil {
			return false
		}
		b.any = c
	case open:
		at, twice := slices.BinarySearchFunc(b.prefixes, prefix, func(p prefixed, prefix string) int {
			return cmp.Or(cmp.Compare(len(prefix), len(p.prefix)), cmp.Compare(p.prefix, prefix))
		})
		if twice {
			return false
		}
		b.prefixes = slices.Insert(b.prefixes, at, prefixed{prefix, c})
	default:
		if b.exact[value] != nil {
			return false
		}
		b.exact[value] = c
	}
	return true
}

// compileDescribed checks a rule for descriptors.
func compileDescribed(p *Policy, path string, r Rule) (*rule, error) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"key", r.Key.bind != nil}, {"absent", r.Absent != 0}, {"plan", r.Plan.bind != nil}, {"plans", len(r.Plans) > 0},
		{"limit", r.LimitOf != nil}, {"cost", r.CostOf != nil}, {"count", r.Count != nil},
	} {
		if f.set {
			return nil, &PolicyError{Path: path + "." + f.name, Rule: r.Name, Reason: "has no effect on descriptors"}
		}
	}
	c, err := compileRule(p, "", r)
	if err != nil {
		e := within(path, err)
		e.Rule = r.Name
		return nil, e
	}
	return c, nil
}

// described calls f for each rule of the domains.
func (p *Policy) described(f func(path string, r Rule) error) error {
	var walk func(path string, nodes []DescriptorNode) error
	walk = func(path string, nodes []DescriptorNode) error {
		for i, n := range nodes {
			at := fmt.Sprintf("%s.descriptors[%d]", path, i)
			if n.Rule != nil {
				if err := f(at+".rule", *n.Rule); err != nil {
					return err
				}
			}
			if err := walk(at, n.Descriptors); err != nil {
				return err
			}
		}
		return nil
	}
	for i, d := range p.Domains {
		if err := walk(fmt.Sprintf("domains[%d]", i), d.Descriptors); err != nil {
			return err
		}
	}
	return nil
}
