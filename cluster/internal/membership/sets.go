package membership

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is what was known of all members at one moment. It never changes.
type Snapshot struct {
	Members []*Member // all, in the order of their names
	Misses  bool      // somebody does not answer, or vanished and still counts as known
	LossAt  time.Duration
	BackAt  time.Duration // age at which one of those that live came back last; 0 if none did

	self     string
	age      time.Duration
	forget   time.Duration
	expected int
	guest    bool
}

// Snapshot is what is known at an age.
func (m *Members) Snapshot(age time.Duration) *Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &Snapshot{self: m.self.Name, age: age, forget: m.forget, expected: m.expected, guest: m.guest, LossAt: m.lastLoss}
	s.Members = make([]*Member, 0, len(m.byName))
	for _, x := range m.byName {
		s.Members = append(s.Members, x)
		s.Misses = s.Misses || x.Silent || x.Vanished(age, m.forget)
		if x.Live {
			s.BackAt = max(s.BackAt, x.BackAt)
		}
	}
	slices.SortFunc(s.Members, func(a, b *Member) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// Without is the snapshot as it were if some nodes were not there.
func (s *Snapshot) Without(names []string) *Snapshot {
	if len(names) == 0 {
		return s
	}
	t := *s
	t.BackAt, t.Members = 0, nil
	for _, x := range s.Members {
		if slices.Contains(names, x.Name) {
			continue
		}
		t.Members = append(t.Members, x)
		if x.Live {
			t.BackAt = max(t.BackAt, x.BackAt)
		}
	}
	return &t
}

// Turned is the snapshot as it is after Members.Turned.
func (s *Snapshot) Turned(fingerprint uint64) *Snapshot {
	t := *s
	t.Members = slices.Clone(s.Members)
	for i, x := range t.Members {
		t.Members[i] = x.turned(fingerprint)
	}
	return &t
}

// Healing says whether a node came back less than HealTime ago.
func (s *Snapshot) Healing() bool { return s.BackAt != 0 && s.age-s.BackAt < HealTime }

// ReviseIn is how long until what this node knows changes by itself, since one that
// vanished stops being known or one that came back counts; or an hour.
func (s *Snapshot) ReviseIn() time.Duration {
	next := time.Hour
	for _, x := range s.Members {
		var d time.Duration
		switch {
		case x.Live:
			d = x.BackAt + HealTime - s.age
		case !x.Leaving:
			d = x.LostAt + s.forget - s.age
		}
		if d > 0 {
			next = min(next, d)
		}
	}
	return next
}

// Sets are the two sets by whose sizes a side of a split admits: With is a part of Base.
// This node is in both, unless it is a guest. Expected is how many nodes there are when
// the cluster is whole, if that is configured.
type Sets struct {
	With, Base []string // in the order of names
	Expected   int
}

// Size counts the sets.
func (s Sets) Size() Size { return Size{len(s.With), max(len(s.Base), s.Expected)} }

// Size is how many members each set has. Base is never the smaller one.
type Size struct{ With, Base int }

// Whole says whether nobody is missing.
func (s Size) Whole() bool { return s.With >= s.Base }

// Before are the sets as they were before those came back that are Returning: what this
// node decides for another owner, it decides by them until that one has it.
//
//	a node that is              in Base   in With
//	living                      yes       yes
//	returning                   yes       no
//	silent, missing             yes       no
//	visiting, and it is         no        no
//	left, leaving, forgotten    no        no
//
// Where there are not more nodes than expected, nobody is a guest: a visiting one is
// living, or returning.
func (s *Snapshot) Before() Sets { return s.sets(false, s.visitors()) }

// Sets are the sets now, for what this node owns. They are those of Before until the
// barrier is passed: all that are returning have caught up by a table, which has a
// fingerprint. From then on these are in With too: all at once, since of the first to be
// heard the other side may still think as its own, and what it admitted may be with the
// last. And when nobody is missing any more, there are no guests.
func (s *Snapshot) Sets(fingerprint uint64) Sets {
	passed := true
	for _, x := range s.Members {
		passed = passed && (!x.back(s.age) || x.Leaving || x.Silent || x.HasCaughtUp(fingerprint))
	}
	visitors := s.visitors()
	if passed && !s.Misses {
		visitors = false
	}
	return s.sets(passed, visitors)
}

// Over says whether nobody is missing, and nobody just back: guests are members then.
func (s *Snapshot) Over() bool { return !s.Misses && !s.Healing() }

// visitors says whether guests are not counted.
func (s *Snapshot) visitors() bool {
	all := 1 // this node
	for _, x := range s.Members {
		if x.Live && !x.Leaving || x.Vanished(s.age, s.forget) {
			all++
		}
	}
	return all > s.expected && !s.Over()
}

// sets counts those that are returning, if passed says so, and leaves visitors out.
func (s *Snapshot) sets(passed, visitors bool) Sets {
	t := Sets{Expected: s.expected}
	add := func(name string, with bool) {
		t.Base = append(t.Base, name)
		if with {
			t.With = append(t.With, name)
		}
	}
	if !s.guest || !visitors {
		add(s.self, true)
	}
	for _, x := range s.Members {
		switch {
		case x.Vanished(s.age, s.forget):
			add(x.Name, false)
		case !x.Live || x.Leaving || x.Guest && visitors:
		default:
			add(x.Name, !x.Silent && (passed || !x.back(s.age)))
		}
	}
	slices.Sort(t.Base)
	slices.Sort(t.With)
	return t
}

// CaughtUp says whether all that live and answer have sent what is due by a table.
func (s *Snapshot) CaughtUp(fingerprint uint64) bool {
	for _, x := range s.Members {
		if x.Live && !x.Silent && !x.HasCaughtUp(fingerprint) {
			return false
		}
	}
	return true
}
