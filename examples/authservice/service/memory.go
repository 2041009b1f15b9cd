package service

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Agents keeps in memory what an id cannot carry: which agents there are, and what became
// of them since they were made. Nodes of one process share one. Where there are several
// processes it would be right on one node and wrong on the next: there nodes have none
// (nil), an agent is what its id says, and only its status can change.
type Agents struct {
	mu   sync.Mutex // guards kept
	kept map[string]Agent
}

// agentsMax bounds the memory.
const agentsMax = 10_000

// NewAgents is for the nodes of one process.
func NewAgents() *Agents { return &Agents{kept: map[string]Agent{}} }

// add keeps a new agent.
func (a *Agents) add(made Agent) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kept) >= agentsMax {
		a.sweepLocked()
	}
	if len(a.kept) >= agentsMax {
		return errAgentsMax
	}
	a.kept[made.DID] = made
	return nil
}

// sweepLocked drops those whose ids have expired.
func (a *Agents) sweepLocked() {
	for did, x := range a.kept {
		if time.Since(x.CreatedAt) >= agentLife {
			delete(a.kept, did)
		}
	}
}

// latest is the agent as it is now, if memory knows more than its id.
func (a *Agents) latest(made Agent) Agent {
	if a == nil {
		return made
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now, ok := a.kept[made.DID]; ok {
		return now
	}
	return made
}

// change changes what is kept of an agent.
func (a *Agents) change(did string, by func(*Agent)) error {
	if a == nil {
		return errFixed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	x, ok := a.kept[did]
	if !ok {
		return errNoAgent // deleted meanwhile
	}
	by(&x)
	x.UpdatedAt = time.Now().UTC().Truncate(time.Second)
	a.kept[did] = x
	return nil
}

// remove forgets an agent.
func (a *Agents) remove(did string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, did)
}

// of are a developer's agents, the oldest first.
func (a *Agents) of(developer string) (own []Agent) {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.kept {
		if x.DeveloperID == developer && time.Since(x.CreatedAt) < agentLife {
			own = append(own, x)
		}
	}
	slices.SortFunc(own, func(x, y Agent) int {
		if c := x.CreatedAt.Compare(y.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(x.DID, y.DID)
	})
	return own
}
