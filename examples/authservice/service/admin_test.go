package service_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/examples/authservice/service"
)

// The operator's port shows what clients did, also after another policy came, and answers nobody who asked
// for another host.
func TestAdmin(t *testing.T) {
	s := startOne(t, "a", nil, func(c *service.Config) { c.Admin = "127.0.0.1:0" })
	get := func(host string) (code int, r status.Report) {
		q, err := http.NewRequest("GET", "http://"+s.AdminAddr()+service.StatusPath+"?format=json", nil)
		require.NoError(t, err)
		if host != "" {
			q.Host = host
		}
		answer, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&r))
		}
		return answer.StatusCode, r
	}
	send(t, s, "GET", "/v1/agents", "")
	require.NoError(t, s.Swap(service.Policy()))
	send(t, s, "GET", "/v1/agents", "")
	code, r := get("")
	require.Equal(t, 200, code)
	assert.Equal(t, "a", r.Node)
	assert.EqualValues(t, 2, r.Taken.Total)
	assert.NotEmpty(t, r.Rules)
	code, _ = get("localhost:1")
	assert.Equal(t, 200, code)
	code, _ = get("rebound.example.org")
	assert.Equal(t, 403, code)
	s.Close()
	_, err := http.Get("http://" + s.AdminAddr() + service.StatusPath)
	assert.Error(t, err)
	assert.Empty(t, startOne(t, "b", nil).AdminAddr())
}
