package simnet

import (
	"sync"
	"time"
)

// deadline is what SetReadDeadline and SetWriteDeadline set. A timer is started only
// when somebody waits, and one that fires too early is left to fire: a connection
// that pushes its deadline ahead with every call then costs no timer per call.
type deadline struct {
	at    time.Time
	timer *time.Timer
	due   time.Time // when timer fires; zero when it is not running or about to
}

func (d *deadline) past() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set changes the deadline, also for those who wait already.
func (d *deadline) set(t time.Time, cond *sync.Cond) {
	d.at = t
	cond.Broadcast()
}

// wait blocks until cond is signalled or the deadline passes. The caller holds
// cond.L and looks again afterwards, since it may also wake for nothing.
func (d *deadline) wait(cond *sync.Cond) {
	if !d.at.IsZero() && (d.due.IsZero() || d.at.Before(d.due)) {
		d.arm(cond)
	}
	cond.Wait()
}

func (d *deadline) arm(cond *sync.Cond) {
	// A timer that has fired and waits for the lock may clear due after this. Then
	// the next wait starts it once more, which costs a wake-up and nothing else.
	d.due = d.at
	wait := time.Until(d.at)
	if d.timer != nil {
		d.timer.Reset(wait)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		cond.L.Lock()
		defer cond.L.Unlock()
		d.due = time.Time{}
		cond.Broadcast()
	})
}

// stop lets go of the timer. A deadline that is waited for again starts a new run.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.due = time.Time{}
	}
}
