package membership

import "time"

// What is to be done where gossip says otherwise of a node than what is known of it, or
// nothing: the node is asked itself, by one goroutine for each name, until gossip agrees
// with what it says, or it is gone.

const (
	askMost  = 5                      // times that a node is asked which gossip takes for gone
	askPause = 250 * time.Millisecond // between two of those, for gossip to learn better
	askSlow  = time.Second            // between two of those after the first ones
)

// Doubt notes that gossip says otherwise of a node than what is known of it. It returns
// whether the caller is the one to find out: see Settled.
func (m *Members) Doubt(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[name]
	if x == nil {
		return false
	}
	if !x.denied && x.Live {
		y := *x
		y.denied = true
		m.putLocked(y)
	}
	begin := !m.doubts[name]
	m.doubts[name] = true
	return begin
}

// Settled ends a doubt, if there is nothing to find out any more: the node is gone, or
// gossip says that the process lives which is known.
func (m *Members) Settled(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[name]
	over := x == nil || !x.Live || x.Agreed()
	if over {
		delete(m.doubts, name)
	}
	return over
}

// Verdict is what to do about a member in doubt that was asked.
type Verdict struct {
	Gone   bool          // it is to be taken for lost, unless there is news of it
	Remind bool          // gossip is to be told, so that it objects: it lives
	Pause  time.Duration // before it is asked again, if the doubt is not settled
}

// Judge judges a member that was asked for the nth time, from 0, and has answered or not.
// One of which gossip has never spoken is not given up for gossip's silence.
func Judge(x *Member, answered bool, nth int) Verdict {
	switch {
	case !answered || nth > askMost && x.said > 0:
		return Verdict{Gone: true}
	case nth > askMost:
		return Verdict{Remind: true, Pause: askSlow}
	}
	return Verdict{Remind: true, Pause: askPause}
}
