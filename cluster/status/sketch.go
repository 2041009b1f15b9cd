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
	at    map[subject]int // places in heap
	heap  []counter       // the smallest count first
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
}

func newSketch(most int) *sketch { return &sketch{most: most, at: make(map[subject]int, most)} }

// add counts n of a subject, n > 0.
func (s *sketch) add(of subject, name string, n int64) {
	s.total += n
	i, ok := s.at[of]
	switch {
	case ok:
	case len(s.heap) < s.most:
		i = len(s.heap)
		s.heap = append(s.heap, counter{subject: of, name: name})
		s.at[of] = i
		i = s.up(i)
	default:
		i = 0
		least := s.heap[0]
		delete(s.at, least.subject)
		s.heap[0] = counter{of, name, least.count, least.count}
		s.at[of] = 0
	}
	s.heap[i].count += n
	s.down(i)
}

// least is what a subject without a counter can have been counted at most.
func (s *sketch) least() int64 {
	if len(s.heap) < s.most {
		return 0
	}
	return s.heap[0].count
}

func (s *sketch) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.at[s.heap[i].subject], s.at[s.heap[j].subject] = i, j
}

func (s *sketch) up(i int) int {
	for i > 0 && s.heap[i].count < s.heap[(i-1)/2].count {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (s *sketch) down(i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(s.heap) && s.heap[child].count < s.heap[least].count {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
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
			if _, ok := s.at[of]; !ok {
				x.count, x.over = x.count+s.least(), x.over+s.least()
			}
		}
		list = append(list, x)
	}
	slices.SortFunc(list, compareCounters)
	return list[:min(n, len(list))]
}
