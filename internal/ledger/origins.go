package ledger

import (
	"math"
	"sync"
	"sync/atomic"
)

// originTable gives the processes of the stored slots short names, indexes. When all are
// given away, those that no slot has any more are given anew.
type originTable struct {
	turn atomic.Uint32 // how often indexes were taken back

	grow  sync.Mutex // who gives indexes holds it; no partition is locked then
	free  []uint16   // taken back; guarded by grow
	pause int        // how many more origins are refused before another search; guarded by grow

	mu    sync.RWMutex // guards what follows; never held while a partition is being locked
	index map[Origin]uint16
	names []Origin
}

const (
	originsMax  = math.MaxUint16
	originsFew  = 1 << 10 // a search that finds fewer is not repeated soon: it looks at all slots
	searchPause = 1 << 14 // origins that are refused in between
)

func (t *originTable) init(self Origin) {
	t.index, t.names = map[Origin]uint16{self: 0}, []Origin{self}
}

func (t *originTable) lookup(o Origin) (uint16, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[o]
	return i, ok
}

// OriginsMost is how many processes there can be of which a ledger has slots at a time.
const OriginsMost = originsMax + 1

// Origins is how many there are, with those that no slot has any more and whose place is not needed.
func (l *Ledger) Origins() int {
	t := &l.origins
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.index)
}

// HasOrigin says whether a process is one of them.
func (l *Ledger) HasOrigin(o Origin) bool {
	_, ok := l.origins.lookup(o)
	return ok
}

func (t *originTable) name(i uint16) Origin {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.names[i]
}

// intern gives an origin its index, a new one if needed. No partition is locked. By the
// time that one is, the index may be another's: see turn.
func (t *originTable) intern(o Origin, l *Ledger) (uint16, bool) {
	if i, ok := t.lookup(o); ok {
		return i, true
	}
	t.grow.Lock()
	defer t.grow.Unlock()
	if i, ok := t.lookup(o); ok {
		return i, true
	}
	if len(t.names) > originsMax && len(t.free) == 0 {
		if t.pause > 0 {
			t.pause--
			return 0, false
		}
		if t.takeBack(l); len(t.free) < originsFew {
			t.pause = searchPause
		}
		if len(t.free) == 0 {
			return 0, false // so many processes have live slots
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.names)
	if n := len(t.free); n > 0 {
		i = int(t.free[n-1])
		t.free = t.free[:n-1]
		t.names[i] = o
	} else {
		t.names = append(t.names, o)
	}
	t.index[o] = uint16(i)
	return uint16(i), true
}

// takeBack frees the indexes that no slot has. Those who hold an index and are about to
// store it must not be overtaken: first nobody finds the indexes any more, then turn tells
// those who have found one before, and what was stored until a partition is looked at for
// the second time is found there.
func (t *originTable) takeBack(l *Ledger) {
	used := l.originsUsed()
	t.mu.Lock()
	var gone []uint16
	for i := 1; i < len(t.names); i++ { // 0 is this process
		if is, known := t.index[t.names[i]]; known && int(is) == i && !used[i] {
			gone = append(gone, uint16(i))
			delete(t.index, t.names[i])
		}
	}
	t.mu.Unlock()
	t.turn.Add(1)
	used = l.originsUsed()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range gone {
		if used[i] {
			t.index[t.names[i]] = i
		} else {
			t.free = append(t.free, i)
		}
	}
}

// originsUsed is which indexes are in some slot, or in what stands beside one.
func (l *Ledger) originsUsed() []bool {
	used := make([]bool, originsMax+1)
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		for e := range p.entries {
			used[e.origin] = true
			if e.due&beside != 0 && e.prev != pacing {
				used[uint16(e.prev)] = true
			}
		}
		p.mu.Unlock()
	}
	return used
}
