package service

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// agentBody is what clients send of an agent. What is nil is not to change.
type agentBody struct {
	Name        *string  `json:"name"`
	Description *string  `json:"description"`
	Scopes      []string `json:"scopes"`
	Status      *string  `json:"status"`
}

// createAgent answers POST /v1/agents.
func (a *app) createAgent(w http.ResponseWriter, r *http.Request) {
	b, err := decode[agentBody](w, r)
	s := sealedAgent{Name: value(b.Name), Description: value(b.Description), Scopes: b.Scopes,
		Developer: developer(r), Created: time.Now().Unix()}
	if err == nil {
		err = s.check()
	}
	var made Agent
	if err == nil {
		made, err = a.newAgent(s)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Location", "/v1/agents/"+made.ID)
	reply(w, http.StatusCreated, made)
}

// getAgent answers GET /v1/agents/{id}.
func (a *app) getAgent(w http.ResponseWriter, r *http.Request) {
	found, err := a.agent(r.Context(), r.PathValue("id"), developer(r))
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, found)
}

// updateAgent answers PATCH /v1/agents/{id}, and POST, which some SDKs send.
func (a *app) updateAgent(w http.ResponseWriter, r *http.Request) {
	b, err := decode[agentBody](w, r)
	if err == nil && b.Status != nil && *b.Status != statusActive && *b.Status != statusSuspended {
		err = invalid("status", "%.40q is not active or suspended", *b.Status)
	}
	var found Agent
	if err == nil {
		found, err = a.agent(r.Context(), r.PathValue("id"), developer(r))
	}
	if err == nil {
		err = a.change(r, found, b)
	}
	if err == nil {
		found, err = a.agent(r.Context(), found.ID, developer(r))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, found)
}

// change makes the changes of a body, all that need memory before the one that does not.
func (a *app) change(r *http.Request, found Agent, b agentBody) error {
	if isSample(found.ID) {
		return errSample
	}
	changed := found
	b.applyTo(&changed)
	if err := (sealedAgent{Name: changed.Name, Description: changed.Description, Scopes: changed.Scopes}).check(); err != nil {
		return err
	}
	if changed.Name != found.Name || changed.Description != found.Description || !slices.Equal(changed.Scopes, found.Scopes) {
		if err := a.agents.change(found.DID, b.applyTo); err != nil {
			return err
		}
	}
	if b.Status == nil {
		return nil
	}
	return a.marks.setStatus(r.Context(), found.DID, *b.Status)
}

func (b agentBody) applyTo(x *Agent) {
	if b.Name != nil {
		x.Name = *b.Name
	}
	if b.Description != nil {
		x.Description = *b.Description
	}
	if b.Scopes != nil {
		x.Scopes = slices.Clone(b.Scopes)
	}
}

// deleteAgent answers DELETE /v1/agents/{id}. Grants of the agent end with it.
func (a *app) deleteAgent(w http.ResponseWriter, r *http.Request) {
	found, err := a.agent(r.Context(), r.PathValue("id"), developer(r))
	if err == nil && isSample(found.ID) {
		err = errSample
	}
	if err == nil {
		_, err = a.marks.set(r.Context(), agentDeleted(found.DID))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	a.agents.remove(found.DID)
	w.WriteHeader(http.StatusNoContent)
}

// listAgents answers GET /v1/agents with one page of the samples and, where one memory
// has them all, the developer's own.
func (a *app) listAgents(w http.ResponseWriter, r *http.Request) {
	const sizeDefault, sizeMax, pageMax = 20, 100, 1_000_000
	page, err := number(r, "page", 1, pageMax)
	size, err2 := number(r, "pageSize", sizeDefault, sizeMax)
	if err = errors.Join(err, err2); err != nil {
		refuse(w, err)
		return
	}
	all := append(samples(), a.agents.of(developer(r))...)
	first := min((page-1)*size, len(all))
	last := min(first+size, len(all))
	shown := append([]Agent{}, all[first:last]...) // "[]" in JSON, never null
	for i := range shown {
		if isSample(shown[i].ID) {
			continue
		}
		n, _, err := a.marks.statusChanges(r.Context(), shown[i].DID)
		if err != nil {
			refuse(w, err)
			return
		}
		shown[i].Status = statusAfter(n)
	}
	reply(w, http.StatusOK, map[string]any{
		"agents": shown, "total": len(all), "page": page, "pageSize": size, "complete": a.agents != nil,
	})
}

func isSample(id string) bool { return !strings.HasPrefix(id, string(kindAgent)+"_") }

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
