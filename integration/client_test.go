package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client is who sends from one address.
type client struct {
	t    *testing.T
	ip   string
	http *http.Client
}

const (
	// callers is how many requests of a client are under way at a time.
	callers = 64
	// windowLeft is what a window must have left, so that its end does not cut a count in two.
	windowLeft = 25 * time.Second
)

var addressesGiven atomic.Int64 // addresses given out

// newClient takes an address that no test had before.
func newClient(t *testing.T) *client {
	t.Helper()
	n := addressesGiven.Add(1)
	c := &client{t: t, ip: fmt.Sprintf("127.0.%d.%d", n/200, 20+n%200)}
	ln, err := net.Listen("tcp", c.ip+":0")
	if err != nil {
		t.Skipf("this system does not send from %s: %v", c.ip, err)
	}
	ln.Close()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.ip)}}
	c.http = &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: callers}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// httpReply is what came back.
type httpReply struct {
	status int
	header http.Header
}

// send sends a request; as, if not empty, is the address that it claims to come from.
func (c *client) send(ctx context.Context, p *process, route, as string) (httpReply, error) {
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.told.HTTP+path, nil)
	if err != nil {
		return httpReply{}, err
	}
	if as != "" {
		r.Header.Set("X-Forwarded-For", as)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return httpReply{}, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return httpReply{resp.StatusCode, resp.Header}, err
}

// must sends a request that has to be answered.
func (c *client) must(p *process, route string) httpReply {
	c.t.Helper()
	r, err := c.send(c.t.Context(), p, route, "")
	require.NoError(c.t, err)
	return r
}

// settled is a client with enough of its window for a route left. It has sent one request.
func settled(t *testing.T, p *process, route string) *client {
	t.Helper()
	return settledFor(t, windowLeft, p, route)
}

// settledFor is settled for a test that takes longer.
func settledFor(t *testing.T, least time.Duration, p *process, route string) *client {
	t.Helper()
	for range 60 { // each has about an even chance, or better
		c := newClient(t)
		reset, err := strconv.ParseInt(c.must(p, route).header.Get("X-RateLimit-Reset"), 10, 64)
		require.NoError(t, err, route)
		if time.Until(time.Unix(reset, 0)) > least {
			return c
		}
	}
	require.FailNow(t, "no client has a window with enough time left")
	return nil
}

// tally is what became of many requests.
type tally struct {
	admitted int // not 429; with an error of the handler as well
	refused  int // 429
	failed   int // 5xx, or no answer
	marked   int // with a header that speaks of limits
	slowest  time.Duration
	failures map[string]int
}

func (a *tally) count(r httpReply, err error, took time.Duration) {
	a.slowest = max(a.slowest, took)
	switch {
	case err != nil || r.status >= 500:
		if a.failed++; a.failures == nil {
			a.failures = map[string]int{}
		}
		a.failures[fmt.Sprint(r.status, err)]++
		return
	case r.status == http.StatusTooManyRequests:
		a.refused++
	default:
		a.admitted++
	}
	for name := range r.header {
		if strings.Contains(strings.ToLower(name), "ratelimit") || name == "Retry-After" {
			a.marked++
			return
		}
	}
}

// spend sends so many requests as 64 callers of one address, each on one of the nodes.
func (c *client) spend(route string, requests int, processes ...*process) tally {
	c.t.Helper()
	var left atomic.Int64
	left.Store(int64(requests))
	var mu sync.Mutex // guards sum
	var sum tally
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				began := time.Now()
				r, err := c.send(c.t.Context(), processes[i%len(processes)], route, "")
				mu.Lock()
				sum.count(r, err, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum
}
