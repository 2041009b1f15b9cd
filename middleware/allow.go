package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Allow asks one rule of the policy, by its name, within a handler: for a subject that only
// the handler knows, such as the user name in a body. The rule is one of [Policy].Asked, or any
// other; its plan, its cost and its outcome are found as always, its Key is not asked, and an
// empty subject counts as absent. If ok is false, the refusal is written and the
// handler should return. Else, if the rule counts by outcome, [Exchange.Done] must be called
// with the status of the response.
//
// The limit headers then show whichever is tighter, this rule or what they showed before; with
// [Policy].KeepHeaders they go on showing what the middleware around the handler set. A
// name that the policy does not have is refused with 503, since to pass would be a hole.
func (m *Middleware) Allow(w http.ResponseWriter, r *http.Request, rule, subject string) (e Exchange, ok bool) {
	p := m.policy.Load()
	h := w.Header()
	rt := p.asked[rule]
	if rt == nil {
		o := m.unknownRule(m.begin(p, nil, r), make(http.Header, 4))
		o.Write(w)
		o.Done(http.StatusServiceUnavailable)
		return Exchange{request: r}, false
	}
	x := m.begin(p, rt, r)
	x.subject, x.given = subject, true
	before := p.shown(h)
	if status := m.rule(x, h); status != 0 {
		if status == statusClientGone {
			w.WriteHeader(status)
		} else {
			p.answer(w, r, p.refuse(h, x, status))
		}
		m.end(x)
		return Exchange{request: r}, false
	}
	before.join(h)
	if rt.observed {
		return x.handle(), true
	}
	m.end(x)
	return Exchange{request: r}, true
}

// shown is what the limit headers say before another rule is asked.
type shown struct {
	x      []keptHeader // X-RateLimit-*
	left   int64        // what they say that is left; -1 if they say nothing
	policy []string     // of the IETF's
	state  []string
}

// shown reads h.
func (p *compiled) shown(h http.Header) shown {
	s := shown{left: -1, policy: h[headerIETFPolicy], state: h[headerIETF]}
	if v := h[headerRemaining]; len(v) == 1 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil {
			s.left = n
			for _, name := range []string{headerLimit, headerRemaining, headerReset} {
				s.x = append(s.x, keptHeader{name, h[name]})
			}
		}
	}
	return s
}

// join puts what was shown before into h, beside what is new: the tighter of both, and in the
// IETF's lists both.
func (s shown) join(h http.Header) {
	if now, err := strconv.ParseInt(h.Get(headerRemaining), 10, 64); s.left >= 0 && (err != nil || s.left <= now) {
		for _, k := range s.x {
			h[k.name] = k.values
		}
	}
	for name, before := range map[string][]string{headerIETFPolicy: s.policy, headerIETF: s.state} {
		if now := h[name]; len(before) > 0 && len(now) > 0 && !slices.Equal(now, before) {
			h[name] = []string{before[0] + ", " + now[0]}
		}
	}
}

// compileAsked makes a route of one rule for each, by name. A rule that several patterns have
// is that of the first.
func compileAsked(p *Policy) (map[string]*route, error) {
	asked := make(map[string]*route)
	add := func(path string, rules []Rule, pattern string) error {
		for i, r := range rules {
			rt := &route{pattern: pattern}
			if err := rt.append(p, r, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
			asked[r.Name] = rt
		}
		return nil
	}
	if err := add("asked", p.Asked, ""); err != nil {
		return nil, err
	}
	if err := add("always", p.Always, ""); err != nil {
		return nil, err
	}
	if err := add("default", p.Default, ""); err != nil {
		return nil, err
	}
	for i, r := range p.Routes {
		if err := add(fmt.Sprintf("routes[%d].rules", i), r.Rules, r.Patterns[0]); err != nil {
			return nil, err
		}
	}
	return asked, nil
}
