package middleware

// How a call is decided by descriptors: as by a route of just the rules that they find.

// ask is one descriptor that found a rule.
type ask struct {
	*Descriptor
	index  int
	budget *budget
	wrong  error // the descriptor's limit cannot be
}

// askFor is a route of the rules that a call's descriptors find, nil if they find none.
func (x *exchange) askFor(c *Call) *route {
	d := x.policy.domains[c.Domain]
	if d == nil {
		return nil
	}
	rt := &x.stack
	x.domain = c.Domain
	for i := range c.Descriptors {
		a := ask{Descriptor: &c.Descriptors[i], index: i}
		r := d.find(a.Entries)
		if a.Limit != nil {
			r = d.own
			a.budget, a.wrong = d.limits.budget(*a.Limit)
		}
		if r == nil {
			continue
		}
		if a.budget == nil {
			a.budget = r.budget
		}
		x.asks, rt.rules = append(x.asks, a), append(rt.rules, r)
		rt.bans = rt.bans || r.ban != nil
		rt.refunds = rt.refunds || len(rt.rules) > 1 || r.outage == OutageClosed
	}
	if len(rt.rules) == 0 {
		return nil
	}
	return rt
}

// describe finds subject, cost and limit of one descriptor. The subject is the domain and all
// entries, as [JoinSubject] writes them.
func (x *exchange) describe(c *call, a *ask) {
	part := func(s string) { x.buf = append(appendLength(x.buf, len(s)), s...) }
	part(x.domain)
	for _, e := range a.Entries {
		part(e.Key)
		part(e.Value)
	}
	c.budget, c.wrong = a.budget, a.wrong
	switch {
	case a.Look:
		c.cost = 0
	case a.Cost != 0:
		c.cost = a.Cost
	}
	c.never = c.wrong == nil && (c.cost < 0 || c.cost > c.budget.capacity)
}

// unask forgets what a call asked about.
func (x *exchange) unask() {
	clear(x.asks)
	clear(x.stack.rules)
	x.asks, x.stack, x.domain = x.asks[:0], route{rules: x.stack.rules[:0]}, ""
}

// Descriptor is what was decided about the call's descriptor of that index, until Done; ok is false
// where no rule counts for it.
func (o Outcome) Descriptor(index int) (e Event, ok bool) {
	if o.x == nil || o.x.turn.Load() != o.turn {
		return e, false
	}
	for i := range o.x.asks {
		if o.x.asks[i].index == index {
			return o.x.event(&o.x.calls[i]), true
		}
	}
	return e, false
}
