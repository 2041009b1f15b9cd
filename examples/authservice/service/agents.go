package service

import "net/http"

// agent is one of those that the service knows. They never change.
type agent struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

var allAgents = []agent{
	{"agent-1", "billing"}, {"agent-2", "crawler"}, {"agent-3", "deployer"},
	{"agent-4", "reporter"}, {"agent-5", "support"},
}

// agents answers with one page of them.
func agents(w http.ResponseWriter, r *http.Request) {
	const sizeDefault, sizeMax, pageMax = 20, 100, 1_000_000
	page, err := number(r, "page", 1, pageMax)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_REQUEST", err.Error())
		return
	}
	size, err := number(r, "pageSize", sizeDefault, sizeMax)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_REQUEST", err.Error())
		return
	}
	first := min((page-1)*size, len(allAgents))
	last := min(first+size, len(allAgents))
	reply(w, http.StatusOK, map[string]any{
		"agents": allAgents[first:last], "total": len(allAgents), "page": page, "pageSize": size,
	})
}
