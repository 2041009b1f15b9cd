package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Agent is who asks for grants, as clients see it.
type Agent struct {
	ID          string    `json:"agentId"`
	DID         string    `json:"did"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Scopes      []string  `json:"scopes"`
	Status      string    `json:"status"`
	DeveloperID string    `json:"developerId"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

const (
	statusActive    = "active"
	statusSuspended = "suspended"
	// statusChangesMax is how often an agent can be suspended or made active again.
	statusChangesMax = 16
	// agentLife is how long an agent can be used. Its marks live as long.
	agentLife = 90 * 24 * time.Hour
)

// sealedAgent is an agent as it was made. Its id is this, sealed: every node knows every
// agent that is presented to it, and none had to be told.
type sealedAgent struct {
	Name        string   `json:"n"`
	Description string   `json:"d,omitempty"`
	Scopes      []string `json:"s,omitempty"`
	Developer   string   `json:"o"`
	Created     int64    `json:"c"` // Unix seconds
}

// Errors about agents; each is an answer to the client.
var (
	errNoAgent   = errors.New("service: no such agent")
	errTooOften  = fmt.Errorf("service: the status was changed %d times already", statusChangesMax)
	errFixed     = errors.New("service: several processes share no memory: all but the status is as the agent was made")
	errSample    = errors.New("service: sample agents stay as they are")
	errAgentsMax = fmt.Errorf("service: %d agents are kept in memory already", agentsMax)
)

// samples are agents that everybody may use: they need no id that is a seal, since all
// nodes know them.
func samples() (all []Agent) {
	since := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, name := range []string{"billing", "crawler", "deployer", "reporter", "support"} {
		id := fmt.Sprintf("agent-%d", i+1)
		all = append(all, Agent{ID: id, DID: didOf(id), Name: name, Description: "A sample", Status: statusActive,
			Scopes: []string{name + ":read", name + ":write"}, DeveloperID: "dev_samples", CreatedAt: since, UpdatedAt: since})
	}
	return all
}

// didOf is the agent's name in tokens: short, and it reveals nothing of the id.
func didOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "did:weir:" + b64.EncodeToString(sum[:16])
}

// newAgent makes an agent.
func (a *app) newAgent(s sealedAgent) (Agent, error) {
	id, err := a.keys.seal(kindAgent, s)
	if err != nil {
		return Agent{}, err
	}
	made := s.agent(id)
	return made, a.agents.add(made)
}

func (s sealedAgent) agent(id string) Agent {
	at := time.Unix(s.Created, 0).UTC()
	scopes := append([]string{}, s.Scopes...) // "[]" in JSON, never null
	return Agent{ID: id, DID: didOf(id), Name: s.Name, Description: s.Description, Scopes: scopes,
		Status: statusActive, DeveloperID: s.Developer, CreatedAt: at, UpdatedAt: at}
}

// agent finds an agent by its id: what the id says, what this process's memory says
// since, and what all nodes know of it. A developer sees the own ones and the samples.
func (a *app) agent(ctx context.Context, id, developer string) (Agent, error) {
	for _, s := range samples() {
		if s.ID == id {
			return s, nil
		}
	}
	var s sealedAgent
	if a.keys.open(kindAgent, id, &s) != nil || s.Developer != developer ||
		time.Since(time.Unix(s.Created, 0)) >= agentLife {
		return Agent{}, errNoAgent
	}
	found := a.agents.latest(s.agent(id))
	gone, err := a.marks.anySet(ctx, agentDeleted(found.DID))
	if err != nil {
		return Agent{}, err
	}
	if gone {
		return Agent{}, errNoAgent
	}
	changes, since, err := a.marks.statusChanges(ctx, found.DID)
	if err != nil {
		return Agent{}, err
	}
	if changes > 0 {
		found.Status = statusAfter(changes)
		if at := time.Now().UTC().Add(-since).Truncate(time.Second); at.After(found.UpdatedAt) {
			found.UpdatedAt = at
		}
	}
	return found, nil
}

// Change number n of an agent's status is a mark. Setting it is what a database calls
// compare and swap: of all who saw n-1 changes, one makes the next.
func statusChange(did string, n int) mark {
	return mark{"agent status", fmt.Sprint(did, "/", n), agentLife + clockSlack}
}

func statusAfter(changes int) string {
	if changes%2 == 1 {
		return statusSuspended
	}
	return statusActive
}

// statusChanges is how often an agent's status changed, and how long ago the last time.
func (s marks) statusChanges(ctx context.Context, did string) (n int, last time.Duration, err error) {
	for ; n < statusChangesMax; n++ {
		set, since, err := s.isSet(ctx, statusChange(did, n+1))
		if err != nil || !set {
			return n, last, err
		}
		last = since
	}
	return n, last, nil
}

// setStatus makes an agent active or suspended on all nodes.
func (s marks) setStatus(ctx context.Context, did, status string) error {
	for {
		n, _, err := s.statusChanges(ctx, did)
		switch {
		case err != nil:
			return err
		case statusAfter(n) == status:
			return nil
		case n == statusChangesMax:
			return errTooOften
		}
		if _, err = s.set(ctx, statusChange(did, n+1)); err != nil {
			return err
		}
		// Ours or somebody else's: look again. Each turn is one change further.
	}
}

// isUsable says whether the agent of a grant may still act.
func (s marks) isUsable(ctx context.Context, did string) (bool, error) {
	if gone, err := s.anySet(ctx, agentDeleted(did)); err != nil || gone {
		return false, err
	}
	n, _, err := s.statusChanges(ctx, did)
	return statusAfter(n) == statusActive, err
}

// check names the field of an agent that cannot be.
func (s sealedAgent) check() error {
	const nameMax, descriptionMax = 100, 500
	switch {
	case strings.TrimSpace(s.Name) == "":
		return invalid("name", "is missing")
	case len(s.Name) > nameMax:
		return invalid("name", "is longer than %d bytes", nameMax)
	case len(s.Description) > descriptionMax:
		return invalid("description", "is longer than %d bytes", descriptionMax)
	}
	return checkScopes(s.Scopes)
}

// checkScopes bounds them: they travel in ids and tokens.
func checkScopes(scopes []string) error {
	const scopesMax, scopeMax = 16, 64
	if len(scopes) > scopesMax {
		return invalid("scopes", "has more than %d", scopesMax)
	}
	for _, s := range scopes {
		if len(s) > scopeMax || !isSane(s) {
			return invalid("scopes", "has %.80q, which is not 1 to %d visible ASCII characters", s, scopeMax)
		}
	}
	return nil
}
