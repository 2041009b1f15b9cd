package status

import "slices"

// sketch finds the keys with the largest counts in memory that does not grow, by Space-Saving
// (Metwally, Agrawal and El Abbadi, 2005) with weights: of a key that is not among the counters the
// count begins with the smallest of all, whose place it takes. So every key whose count is larger than
// total/most is there, no count is too small, and none is too large by more than its over, which is at most
// total/most.
type sketch struct {
	most  int
	total int64
	of    map[subject]*counter
	heap  []*counter // the smallest count first
}

// subject is what is counted: a budget of a rule.
type subject struct {
	rule string
	id   uint64
}

// counter is what is known of one subject: its count is between count-over and count.
type counter struct {
	subject
	name        string // "" unless names are kept
	count, over int64
	at          int // its place in the heap
}

func newSketch(most int) *sketch { return &sketch{most: most, of: make(map[subject]*counter, most)} }

// add counts n of a subject, n > 0.
func (s *sketch) add(of subject, name string, n int64) {
	s.total += n
	c := s.of[of]
	switch {
	case c != nil:
	case len(s.heap) < s.most:
		c = &counter{subject: of, name: name, at: len(s.heap)}
		s.heap, s.of[of] = append(s.heap, c), c
		s.up(c)
	default:
		c = s.heap[0]
		delete(s.of, c.subject)
		c.subject, c.name, c.over = of, name, c.count
		s.of[of] = c
	}
	c.count += n
	s.down(c)
}

// least is what a subject without a counter can have been counted at most.
func (s *sketch) least() int64 {
	if len(s.heap) < s.most {
		return 0
	}
	return s.heap[0].count
}

// put gives a counter a place.
func (s *sketch) put(c *counter, at int) { s.heap[at], c.at = c, at }

func (s *sketch) up(c *counter) {
	for c.at > 0 && c.count < s.heap[(c.at-1)/2].count {
		at := c.at
		parent := s.heap[(at-1)/2]
		s.put(c, parent.at)
		s.put(parent, at)
	}
}

func (s *sketch) down(c *counter) {
	for {
		least := c
		for _, child := range [...]int{2*c.at + 1, 2*c.at + 2} {
			if child < len(s.heap) && s.heap[child].count < least.count {
				least = s.heap[child]
			}
		}
		if least == c {
			return
		}
		at := c.at
		s.put(c, least.at)
		s.put(least, at)
	}
}

// top is the largest of several sketches taken together, of which some may be nil: the counts of each
// are added, and a subject that a sketch does not have may have been counted there as often as its least.
func top(n int, all ...*sketch) []counter {
	sum := map[subject]counter{}
	for _, s := range all {
		if s == nil {
			continue
		}
		for _, c := range s.heap {
			x := sum[c.subject]
			x.subject, x.count, x.over = c.subject, x.count+c.count, x.over+c.over
			if c.name != "" {
				x.name = c.name
			}
			sum[c.subject] = x
		}
	}
	list := make([]counter, 0, len(sum))
	for of, x := range sum {
		for _, s := range all {
			if s == nil {
				continue
			}
			if _, ok := s.of[of]; !ok {
				x.count, x.over = x.count+s.least(), x.over+s.least()
			}
		}
		list = append(list, x)
	}
	slices.SortFunc(list, compareCounters)
	return list[:min(n, len(list))]
}
