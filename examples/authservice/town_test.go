package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// town is nodes in processes, each with addresses that it keeps over a restart.
type town struct {
	t     *testing.T
	env   []string
	flags []string
	hosts []string // of 127.0.0.0/8
	nodes []*program
}

// newTown starts three of them. Where their addresses would be used by two tests at once, of this
// program or of another run of it, they would be in each other's way: they are random.
func newTown(t *testing.T, flags ...string) *town {
	t.Helper()
	return newTownOf(t, 3, []string{"WEIR_SECRET=the secret of a test cluster"}, flags...)
}

// newTownOf is newTown of another size and with another environment.
func newTownOf(t *testing.T, size int, env []string, flags ...string) *town {
	t.Helper()
	w := &town{t: t, env: env, flags: flags, hosts: make([]string, size), nodes: make([]*program, size)}
	b := make([]byte, 2)
	rand.Read(b)
	for i := range w.hosts {
		w.hosts[i] = fmt.Sprintf("127.%d.%d.%d", 10+int(b[0])%200, b[1], i+1)
	}
	for i := range w.nodes { // together: the first alone would wait for the others
		w.start(i)
	}
	for _, p := range w.nodes {
		p.awaitPlaces()
	}
	w.awaitWhole()
	return w
}

// start starts a node, which joins the others.
func (w *town) start(i int) {
	w.t.Helper()
	w.nodes[i] = spawn(w.t, w.env, append([]string{
		"-nodes", "1", "-name", fmt.Sprint("node", i+1), "-http", w.http(i), "-bind", w.hosts[i] + ":17946",
		"-join", strings.Join(w.hosts, ":17946,") + ":17946", "-call-timeout", "1s"}, w.flags...)...)
}

// http is where a node serves.
func (w *town) http(i int) string { return w.hosts[i] + ":18080" }

// restart ends a node gracefully and starts it again.
func (w *town) restart(i int) {
	w.t.Helper()
	require.Equal(w.t, 0, w.nodes[i].end(), "node%d leaves gracefully", i+1)
	w.start(i)
	w.nodes[i].awaitPlaces()
	w.awaitWhole()
}

// awaitWhole waits until all nodes are ready and see all.
func (w *town) awaitWhole() {
	w.t.Helper()
	for i, p := range w.nodes {
		if p == nil {
			continue
		}
		p.await(func() bool {
			resp, err := http.Get("http://" + w.http(i) + "/health")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			var h struct{ Nodes int }
			return json.NewDecoder(resp.Body).Decode(&h) == nil && resp.StatusCode == http.StatusOK && h.Nodes == len(w.nodes)
		}, fmt.Sprintf("node%d sees all", i+1))
	}
}

// call sends a JSON body to a node, and returns what came back.
func (w *town) call(node int, method, path string, status int, pairs ...any) map[string]any {
	w.t.Helper()
	body := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(body)
	require.NoError(w.t, err)
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.http(node)+path, strings.NewReader(string(text)))
	require.NoError(w.t, err)
	r.Header.Set("Authorization", "Bearer an API key")
	c := http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	var answer map[string]any
	if resp.StatusCode != http.StatusNoContent {
		require.NoError(w.t, json.NewDecoder(resp.Body).Decode(&answer))
	}
	require.Equal(w.t, status, resp.StatusCode, "%s %s on node%d: %v", method, path, node+1, answer)
	return answer
}
