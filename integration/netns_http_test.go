//go:build linux

package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

// Requests over the real HTTP surface, from a client on a host of its own.

// page is the route that they ask for, limited by the default.
const (
	page      = "/v1/agents"
	pageQuota = 100
	// pageWindowMin is what a window must have left, so that its end does not cut a count in two.
	pageWindowMin = 40 * time.Second
)

// ask sends a request that claims to come from an address.
func (w *town) ask(n *nsNode, from string) (httpReply, error) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet,
		"http://"+net.JoinHostPort(w.lab.IP(n.host), nsHTTPPort)+page, nil)
	if err != nil {
		return httpReply{}, err
	}
	r.Header.Set("X-Forwarded-For", from)
	resp, err := w.http.Do(r)
	if err != nil {
		return httpReply{}, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return httpReply{resp.StatusCode, resp.Header}, err
}

// askTimes sends requests in turn to some nodes; all have to be answered.
func (w *town) askTimes(sum *tally, times int, from string, nodes []*nsNode) {
	for i := range times {
		began := time.Now()
		r, err := w.ask(nodes[i%len(nodes)], from)
		sum.count(r, err, time.Since(began))
	}
}

// ownedAddress is an address whose budget a node holds, with enough left of its window.
// One request was sent to each node.
func (w *town) ownedAddress(owner *nsNode) string {
	w.t.Helper()
	for i := range 250 {
		from := fmt.Sprintf("198.51.100.%d", i)
		var holder *nsNode
		var reset int64
		for _, n := range w.on() {
			before := n.stats().Forwarded
			r, err := w.ask(n, from)
			require.NoError(w.t, err)
			require.Equal(w.t, http.StatusOK, r.status)
			reset, err = strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
			require.NoError(w.t, err)
			if n.stats().Forwarded == before {
				holder = n
			}
		}
		if holder == owner && time.Until(time.Unix(reset, 0)) > pageWindowMin {
			return from
		}
	}
	require.FailNow(w.t, "no such address")
	return ""
}
