package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	rollers    = 12                   // clients
	rollerPace = 5 * time.Millisecond // between the requests of one
	rollQuota  = 1_000_000
)

// roller is a client that knows nothing of restarts: it keeps its connection for as long as
// the server lets it. What was never sent, as nobody listens there, it sends elsewhere;
// all else that goes wrong is a lost request.
type roller struct {
	addrs []string
	home  int // the node that it prefers
	conn  net.Conn
	r     *bufio.Reader
	dials int // connections that it made
}

// dial connects to the first node, from the own one on, that listens.
func (c *roller) dial() (err error) {
	for i := range c.addrs {
		c.conn, err = net.DialTimeout("tcp", c.addrs[(c.home+i)%len(c.addrs)], patience)
		if err == nil {
			c.r = bufio.NewReader(c.conn)
			c.dials++
			return nil
		}
	}
	return err
}

// get sends one request and returns the status of its answer.
func (c *roller) get() (int, error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return 0, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c.conn, "GET /v1/agents/agent-1 HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.Close {
		c.hangUp()
	}
	return resp.StatusCode, nil
}

func (c *roller) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Every node is restarted under clients that know nothing of it: no request is lost, and
// no count.
func TestRollingRestartLosesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "-drain", "2s", "-policy", written(t, quotaOf(rollQuota)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var served, dials atomic.Int64
	var mu sync.Mutex // guards lost
	lost := map[string]int{}
	var clients sync.WaitGroup
	for i := range rollers {
		clients.Go(func() {
			c := &roller{addrs: []string{w.http(0), w.http(1), w.http(2)}, home: i % 3}
			defer c.hangUp()
			pace := time.NewTicker(rollerPace)
			defer pace.Stop()
			for ctx.Err() == nil {
				status, err := c.get()
				served.Add(1)
				if status != http.StatusOK || err != nil {
					mu.Lock()
					lost[fmt.Sprint(status, " ", err)]++
					mu.Unlock()
					c.hangUp()
				}
				<-pace.C
			}
			dials.Add(int64(c.dials))
		})
	}
	for i := range w.nodes {
		w.restart(i)
		before := served.Load()
		w.nodes[i].await(func() bool { return served.Load() > before+500 }, "the clients go on")
	}
	cancel()
	clients.Wait()
	t.Logf("%d requests on %d connections, lost: %v", served.Load(), dials.Load(), lost)
	assert.Empty(t, lost)
	assert.Greater(t, dials.Load(), int64(2*rollers), "clients kept theirs, and had to make others")
	resp, err := http.Get("http://" + w.http(0) + "/v1/agents")
	require.NoError(t, err)
	resp.Body.Close()
	left := fmt.Sprint(rollQuota - served.Load() - 1)
	assert.Equal(t, left, resp.Header.Get("X-RateLimit-Remaining"), "every request is counted, once")
}

// A node that is told to end says so to who watches it, and goes on serving for the drain
// time, one request on each connection.
func TestDrain(t *testing.T) {
	t.Parallel()
	const drain = 3 * time.Second
	w := newTown(t, "-drain", drain.String())
	c := http.Client{Timeout: patience}
	ask := func(path string) (status int, closes bool) {
		resp, err := c.Get("http://" + w.http(0) + path)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode, resp.Close
	}
	_, closes := ask("/v1/agents")
	require.False(t, closes)
	told := time.Now()
	ended := make(chan int, 1)
	go func() { ended <- w.nodes[0].end() }()
	w.nodes[0].await(func() bool { status, _ := ask("/health"); return status == http.StatusServiceUnavailable }, "not ready")
	status, closes := ask("/v1/agents")
	assert.Equal(t, http.StatusOK, status, "it still serves")
	assert.True(t, closes)
	assert.Equal(t, 0, <-ended)
	assert.GreaterOrEqual(t, time.Since(told), drain)
}
