package service_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/examples/authservice/service"
)

// An agent that one node made is known on the other, and so is what becomes of it.
func TestAgentsOverTwoNodes(t *testing.T) {
	a, b := startTwo(t)
	made := send(t, a, "POST", "/v1/agents", object(t, "name", "Email", "description", "Sends", "scopes", []string{"email:send"}))
	require.Equal(t, http.StatusCreated, made.status, made.text)
	id := made.str(t, "agentId")
	at := "/v1/agents/" + id
	assert.Equal(t, at, made.header.Get("Location"))
	assert.Regexp(t, `^did:weir:[\w-]{22}$`, made.body["did"])
	assert.Equal(t, "active", made.body["status"])
	assert.Regexp(t, `^dev_[0-9a-f]{16}$`, made.body["developerId"])
	until(t, made.str(t, "createdAt"), 0)
	assert.Equal(t, made.body, send(t, b, "GET", at, "").body)

	assert.Equal(t, 404, send(t, b, "GET", at, "", "Authorization", "Bearer another key").status, "of another developer")
	for _, bad := range []string{at + "x", "/v1/agents/ag_", "/v1/agents/agent-6", "/v1/agents/" + strings.Repeat("x", 2000)} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			gone := send(t, b, method, bad, "{}")
			assert.Equal(t, 404, gone.status, "%s %s", method, bad)
			assert.Equal(t, "NOT_FOUND", gone.body["code"])
		}
	}

	// Two processes share no memory, so what is sealed in the id stays.
	fixed := send(t, a, "PATCH", at, `{"name":"Mail"}`)
	assert.Equal(t, http.StatusConflict, fixed.status, fixed.text)
	assert.Equal(t, http.StatusOK, send(t, a, "PATCH", at, `{"name":"Email"}`).status, "nothing changes")

	access := tokenFor(t, a, id, "email:send")
	valid := func(s *service.Server) any {
		return send(t, s, "POST", "/v1/tokens/verify", object(t, "token", access)).body["valid"]
	}
	ask := object(t, "agentId", id, "userId", "u", "scopes", []string{"email:send"})
	for range 2 {
		suspended := send(t, a, "POST", at, `{"status":"suspended"}`) // as PATCH
		require.Equal(t, http.StatusOK, suspended.status, suspended.text)
		assert.Equal(t, "suspended", suspended.body["status"])
	}
	seen := send(t, b, "GET", at, "")
	assert.Equal(t, "suspended", seen.body["status"])
	until(t, seen.str(t, "updatedAt"), 0)
	assert.Equal(t, false, valid(b))
	assert.Equal(t, http.StatusBadRequest, send(t, b, "POST", "/v1/authorize", ask).status)
	assert.Equal(t, "active", send(t, b, "PATCH", at, `{"status":"active"}`).body["status"])
	assert.Equal(t, true, valid(a), "as before")

	assert.Equal(t, http.StatusNoContent, send(t, b, "DELETE", at, "").status)
	assert.Equal(t, 404, send(t, a, "GET", at, "").status)
	assert.Equal(t, 404, send(t, a, "DELETE", at, "").status)
	assert.Equal(t, 404, send(t, a, "POST", "/v1/authorize", ask).status)
	assert.Equal(t, false, valid(a), "its grants end with it")
}

func tokenFor(t *testing.T, s *service.Server, agent string, scopes ...string) string {
	t.Helper()
	a := send(t, s, "POST", "/v1/token", object(t, "code", newCode(t, s, agent, scopes...).body["code"], "agentId", agent))
	require.Equal(t, http.StatusCreated, a.status, a.text)
	return a.str(t, "grantToken")
}

// Nodes of one process share their memory: there all of an agent can change, and the list
// is complete.
func TestAgentsOfOneProcess(t *testing.T) {
	shared := service.NewAgents()
	a, b := startTwo(t, func(c *service.Config) { c.Agents = shared })
	names := func(s *service.Server, query string, headers ...string) (all []string) {
		list := send(t, s, "GET", "/v1/agents"+query, "", headers...)
		require.Equal(t, http.StatusOK, list.status)
		assert.Equal(t, true, list.body["complete"])
		for _, x := range list.body["agents"].([]any) {
			all = append(all, x.(map[string]any)["name"].(string))
		}
		return all
	}
	require.Len(t, names(a, ""), 5, "the samples")
	id := newAgent(t, a, "email:send")
	at := "/v1/agents/" + id
	changed := send(t, b, "PATCH", at, `{"name":"Mail","scopes":[],"status":"suspended"}`)
	require.Equal(t, http.StatusOK, changed.status, changed.text)
	assert.Equal(t, "Mail", changed.body["name"])
	assert.Equal(t, "Sends", changed.body["description"], "what is not named stays")
	assert.Equal(t, []any{}, changed.body["scopes"], "an empty list takes all away")
	assert.Equal(t, id, changed.body["agentId"])
	seen := send(t, a, "GET", at, "").body
	assert.Equal(t, "suspended", seen["status"])
	assert.Equal(t, "Mail", seen["name"])

	assert.Equal(t, "Mail", names(b, "?page=2&pageSize=5")[0])
	assert.Empty(t, names(b, "?page=3&pageSize=5"))
	assert.Len(t, names(b, "", "Authorization", "Bearer another key"), 5, "those of others are not shown")
	require.Equal(t, http.StatusNoContent, send(t, a, "DELETE", at, "").status)
	assert.Len(t, names(b, ""), 5)
}

func TestAgentsOfSeveralProcesses(t *testing.T) {
	s := startOne(t, "a", nil)
	newAgent(t, s)
	list := send(t, s, "GET", "/v1/agents?page=3&pageSize=2", "")
	assert.Len(t, list.body["agents"], 1)
	assert.Equal(t, float64(5), list.body["total"])
	assert.Equal(t, false, list.body["complete"], "and it says so")
	empty := send(t, s, "GET", "/v1/agents?page=1000000&pageSize=100", "").body["agents"]
	b, err := json.Marshal(empty)
	require.NoError(t, err)
	assert.Equal(t, "[]", string(b))
}

func TestAgentNamesTheField(t *testing.T) {
	s := startOne(t, "a", nil)
	for says, body := range map[string]string{
		"name is missing":           `{"description":"x"}`,
		"name is longer":            object(t, "name", strings.Repeat("x", 101)),
		"description is longer":     object(t, "name", "x", "description", strings.Repeat("x", 501)),
		"scopes has more than 16":   object(t, "name", "x", "scopes", strings.Split(strings.Repeat("s,", 16)+"s", ",")),
		"which is not 1 to 64":      object(t, "name", "x", "scopes", []string{strings.Repeat("s", 65)}),
		"scopes cannot be a string": `{"name":"x","scopes":"read"}`,
		"the body":                  ``,
	} {
		a := send(t, s, "POST", "/v1/agents", body)
		assert.Equal(t, http.StatusBadRequest, a.status, a.text)
		assert.Contains(t, a.body["message"], says)
	}
	assert.Contains(t, send(t, s, "PATCH", "/v1/agents/agent-1", `{"status":"gone"}`).body["message"], `status "gone"`)
	for _, method := range []string{"PATCH", "DELETE"} {
		assert.Equal(t, http.StatusForbidden, send(t, s, method, "/v1/agents/agent-1", `{"name":"x"}`).status, "samples stay")
	}
}

// Of many who change a status at the same time on several nodes all get what they asked
// for, at least for a moment; and afterwards the nodes agree.
func TestStatusChangesAtOnce(t *testing.T) {
	a, b := startTwo(t, func(c *service.Config) { c.Policy.Default[0].Limit.Quota = 1000 })
	at := "/v1/agents/" + newAgent(t, a)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := []*service.Server{a, b}[i%2]
			changed := send(t, s, "PATCH", at, `{"status":"suspended"}`)
			assert.Equal(t, http.StatusOK, changed.status, changed.text)
		})
	}
	wg.Wait()
	for _, s := range []*service.Server{a, b} {
		assert.Equal(t, "suspended", send(t, s, "GET", at, "").body["status"], "eight times suspended is suspended")
	}
	for i := range 15 {
		want := []string{"active", "suspended"}[i%2]
		assert.Equal(t, want, send(t, a, "PATCH", at, fmt.Sprintf(`{"status":%q}`, want)).body["status"])
	}
	full := send(t, b, "PATCH", at, `{"status":"suspended"}`)
	assert.Equal(t, http.StatusConflict, full.status, full.text)
	assert.Contains(t, full.body["message"], "16 times")
}
