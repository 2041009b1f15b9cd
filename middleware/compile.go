package middleware

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"time"
)

// compiled is a checked policy in the form that requests need it. It is immutable but
// for the memo.
type compiled struct {
	table   table
	memo    memo
	asked   map[string]*route // by the name of the rule that Allow asks
	lists   *lists            // nil if nobody is listed
	domains map[string]*domain
	reads   *reads

	dialects     Dialect
	exposed      string
	hideDegraded bool
	keepHeaders  bool
	echoID       bool
	problem      bool
	revealKeys   bool
	inContext    bool
	heard        bool // somebody is told of decisions

	respond     func(http.ResponseWriter, *http.Request, Refusal)
	requestIDOf func(*http.Request) string
	chosen      func(*http.Request) string // the pattern that the router behind chose
	skip        func(*http.Request) bool
	skipMethods []string
	namespace   string
	rules       map[string]Rule
	address     Address
	onDecision  func(Event)
	now         func() time.Time
}

// Check returns the error that New would give for p, or nil.
func (p Policy) Check() error {
	_, err := compile(p)
	return err
}

// compile checks a policy.
func compile(p Policy) (*compiled, error) {
	c := &compiled{
		dialects: p.Dialects, hideDegraded: p.HideDegraded, keepHeaders: p.KeepHeaders,
		echoID: p.EchoRequestID, problem: p.Problem, revealKeys: p.RevealKeys,
		respond: p.Respond, requestIDOf: p.RequestID, skip: p.Skip, onDecision: p.OnDecision, now: p.Now,
		skipMethods: slices.Clone(p.SkipMethods), namespace: p.Namespace, chosen: p.Route,
		inContext: p.InContext, heard: p.InContext || p.OnDecision != nil,
	}
	if c.now == nil {
		c.now = time.Now
	}
	p.reads = newReads(&p)
	if err := c.setDialects(p); err != nil {
		return nil, err
	}
	if err := checkSkipMethods(p.SkipMethods); err != nil {
		return nil, err
	}
	if len(p.Namespace) > ruleNameMax || !isPrintable(p.Namespace) {
		return nil, fieldError("namespace", p.Namespace, fmt.Sprintf("is not printable ASCII of at most %d bytes", ruleNameMax))
	}
	c.rules, c.address = p.rules(), p.Address
	var err error
	if p.clientIP, err = p.Address.bind(); err != nil {
		return nil, within("address", err)
	}
	if err := checkNames(p); err != nil {
		return nil, err
	}
	byDefault, err := compileRoute(&p, "", "default", p.Default)
	if err != nil {
		return nil, err
	}
	c.memo.seed = maphash.MakeSeed()
	c.table = *newTable(byDefault)
	unknown := p.checkKnown()
	for i := range p.Routes {
		if err := c.addRoute(&p, i, unknown); err != nil {
			return nil, err
		}
	}
	c.reads = p.reads
	c.reads.host = c.table.hosts
	if c.asked, err = compileAsked(&p); err != nil {
		return nil, err
	}
	if c.lists, err = compileLists(&p); err != nil {
		return nil, err
	}
	if c.domains, err = compileDomains(&p); err != nil {
		return nil, err
	}
	c.table.seal()
	if err := c.checkReached(&p); err != nil {
		return nil, err
	}
	return c, nil
}

// setDialects resolves the zero value and refuses contradictions.
func (c *compiled) setDialects(p Policy) error {
	const both = XRateLimit | XRateLimitSeconds
	switch {
	case p.Dialects == 0:
		c.dialects = XRateLimit
	case p.Dialects >= NoHeaders<<1:
		return fieldError("headers", p.Dialects, "is unknown")
	case p.Dialects&both == both:
		return &PolicyError{Path: "headers", Value: "XRateLimit", Reason: "excludes XRateLimitSeconds: both give X-RateLimit-Reset"}
	case p.Dialects&NoHeaders != 0 && p.Dialects != NoHeaders:
		return &PolicyError{Path: "headers", Value: "NoHeaders", Reason: "excludes every other form"}
	}
	if p.ExposeHeaders {
		c.exposed = exposedNames(c.dialects, p.HideDegraded)
	}
	return nil
}

// checkSkipMethods refuses what no request has for a method.
func checkSkipMethods(methods []string) error {
	for i, m := range methods {
		at := fmt.Sprintf("skip_methods[%d]", i)
		switch {
		case m == "*":
			return fieldError(at, m, "is not a method: to limit nothing at all, use no middleware")
		case !isToken(m):
			return fieldError(at, m, "is not a method")
		case m != strings.ToUpper(m):
			return fieldError(at, m, fmt.Sprintf("has lower case, which no request matches: write %q", strings.ToUpper(m)))
		}
	}
	return nil
}

// find is the route whose rules count for a request, or nil if it passes unseen. chosen is the
// pattern that the router behind chose, if that is known already.
func (c *compiled) find(r *http.Request, chosen string) *route {
	if c.lists == nil {
		return c.unlisted(r, chosen)
	}
	switch c.lists.of(r) {
	case isDenied:
		if c.lists.refusal.shadow {
			return c.lists.before(c.unlisted(r, chosen))
		}
		return c.lists.before(nil)
	case isAllowed:
		return nil
	}
	return c.unlisted(r, chosen)
}

// unlisted is find for a request that no list is about.
func (c *compiled) unlisted(r *http.Request, chosen string) *route {
	if c.skips(r) {
		return nil
	}
	if chosen == "" && c.chosen != nil {
		chosen = c.chosen(r)
	}
	if rt := c.memo.find(&c.table, r, chosen); len(rt.rules) > 0 {
		return rt
	}
	return nil
}

// skips reports whether a request is one that the policy lets pass unseen.
func (c *compiled) skips(r *http.Request) bool {
	if c.skip != nil && c.skip(r) {
		return true
	}
	if len(c.skipMethods) == 0 || !slices.Contains(c.skipMethods, r.Method) {
		return false
	}
	return r.Method != http.MethodOptions || first(r, "Access-Control-Request-Method") != ""
}

// checkReached refuses patterns that no request finds.
func (c *compiled) checkReached(p *Policy) error {
	for i, r := range p.Routes {
		for k, pattern := range r.Patterns {
			if rt := c.table.routes[foldPattern(pattern)]; !c.table.reached(rt) {
				reason := "is never found: write it as the path that a client sends"
				if r.Exempt {
					reason = "is never found: what is exempt must have one spelling, without escapes that say the same otherwise"
				}
				return fieldError(patternPath(i, k, len(r.Patterns)), pattern, reason)
			}
		}
	}
	return nil
}

// patternPath leads to a pattern, in the words of the policy file.
func patternPath(route, k, n int) string {
	if n > 1 {
		return fmt.Sprintf("routes[%d].pattern[%d]", route, k)
	}
	return fmt.Sprintf("routes[%d].pattern", route)
}

// addRoute checks one route and adds its patterns to the table.
func (c *compiled) addRoute(p *Policy, i int, unknown func(string) string) error {
	r, path := p.Routes[i], fmt.Sprintf("routes[%d]", i)
	switch {
	case len(r.Patterns) == 0:
		return &PolicyError{Path: path + ".pattern", Reason: "is missing"}
	case r.Exempt && len(r.Rules) > 0:
		return &PolicyError{Path: path + ".exempt", Value: "true", Reason: "excludes rules"}
	case !r.Exempt && len(r.Rules) == 0:
		return &PolicyError{Path: path + ".rules", Reason: "is missing: a route without rules must be exempt"}
	}
	for k, pattern := range r.Patterns {
		at := patternPath(i, k, len(r.Patterns))
		rt := &route{pattern: pattern, exempt: true}
		if !r.Exempt {
			var err error
			if rt, err = compileRoute(p, pattern, path+".rules", r.Rules); err != nil {
				return err
			}
		}
		if err := c.table.add(rt, at); err != nil {
			return err
		}
		if reason := unknown(pattern); reason != "" {
			return fieldError(at, pattern, reason)
		}
	}
	return nil
}

// compileRoute checks the rules of one pattern, the policy's Always rules first.
func compileRoute(p *Policy, pattern, path string, own []Rule) (*route, error) {
	rt := &route{pattern: pattern}
	for i, r := range p.Always {
		if err := rt.append(p, r, fmt.Sprintf("always[%d]", i)); err != nil {
			return nil, err
		}
	}
	for i, r := range own {
		if err := rt.append(p, r, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return nil, err
		}
	}
	return rt, nil
}

// append checks one rule and adds it.
func (rt *route) append(p *Policy, r Rule, path string) error {
	c, err := compileRule(p, rt.pattern, r)
	if err != nil {
		e := within(path, err)
		e.Rule = r.Name
		return e
	}
	rt.rules = append(rt.rules, c)
	rt.observed = rt.observed || c.count != nil
	rt.bans = rt.bans || c.ban != nil
	rt.refunds = rt.observed || len(rt.rules) > 1 || rt.refunds || c.outage == OutageClosed
	return nil
}
