package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

// trial is a route, the limit it should have, and what came of trying it.
type trial struct {
	method, path string
	limit        int // 0: none
	send         int

	admitted   int // not 429
	failed     int // 5xx, or no answer
	marked     int // with rate-limit headers
	retryAfter string
}

const (
	// tryLeast is the time that a window must have left, so that a trial is not cut in
	// two by its end.
	tryLeast   = 15 * time.Second
	tryWorkers = 32
	tryTimeout = 10 * time.Second // for one answer
	readyMax   = 15 * time.Second
	// tryCallTimeout keeps a busy machine from being taken for a dead node: what is asked
	// again after a timeout may be counted twice.
	tryCallTimeout = time.Second
)

// errNotExact is the answer to a trial that did not admit what its limit says.
var errNotExact = errors.New("a budget did not hold exactly")

// try sends more than each limit to all nodes at once, as one client, and prints what
// was admitted by all of them together.
func try(ctx context.Context, out io.Writer, servers []*service.Server) error {
	if err := awaitReady(ctx, servers); err != nil {
		return err
	}
	trials := []*trial{
		{method: "POST", path: "/v1/authorize", limit: 10, send: 60},
		{method: "POST", path: "/v1/token", limit: 20, send: 90},
		{method: "POST", path: "/v1/token/refresh", limit: 20, send: 90},
		{method: "GET", path: "/v1/agents", limit: 100, send: 240},
		{method: "GET", path: "/.well-known/jwks.json", send: 240},
	}
	var urls []string
	for _, s := range servers {
		urls = append(urls, "http://"+reachable(s.HTTPAddr()))
	}
	began := time.Now()
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "\nroute\tlimit\tsent\tadmitted\tfirst Retry-After\n")
	var err error
	for _, t := range trials {
		if e := t.run(ctx, urls); e != nil {
			return fmt.Errorf("%s %s: %w", t.method, t.path, e)
		}
		limit, verdict := strconv.Itoa(t.limit)+" per minute", ""
		if t.limit == 0 {
			limit = "none"
		}
		if !t.exact() {
			verdict, err = "   NOT EXACT", errNotExact
		}
		fmt.Fprintf(table, "%s %s\t%s\t%d\t%d%s\t%s\n", t.method, t.path, limit, t.send, t.admitted, verdict, t.retryAfter)
	}
	table.Flush()
	if err == nil {
		fmt.Fprintf(out, "\n%d nodes, one budget each: exact, in %.1f s.\n", len(urls), time.Since(began).Seconds())
	}
	return err
}

// exact says whether the budget held.
func (t *trial) exact() bool {
	if t.limit == 0 {
		return t.admitted == t.send && t.marked == 0 && t.failed == 0
	}
	return t.admitted == t.limit && t.marked == t.send && t.failed == 0
}

// run sends the requests of a trial from one source address, over all nodes in turn.
func (t *trial) run(ctx context.Context, urls []string) error {
	client, err := t.settle(ctx, urls[0])
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	jobs := make(chan string)
	var mu sync.Mutex // guards t
	var wg sync.WaitGroup
	for range tryWorkers {
		wg.Go(func() {
			for url := range jobs {
				resp, err := t.request(ctx, client, url)
				mu.Lock()
				t.count(resp, err)
				mu.Unlock()
			}
		})
	}
	for i := 1; i < t.send; i++ { // settle sent the first
		jobs <- urls[i%len(urls)]
	}
	close(jobs)
	wg.Wait()
	return ctx.Err()
}

// settle finds a source address whose window for this route has enough time left. That
// takes one request, the trial's first. Windows do not all turn at the same time: each
// key's are shifted by the key.
func (t *trial) settle(ctx context.Context, url string) (*http.Client, error) {
	for _, ip := range sources(url) {
		client := clientFrom(ip)
		for {
			resp, err := t.request(ctx, client, url)
			if err != nil {
				return nil, err
			}
			reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
			left := time.Until(time.Unix(reset, 0))
			if t.limit == 0 || err != nil || left >= tryLeast {
				t.count(resp, nil)
				return client, nil
			}
			if len(sources(url)) > 1 {
				break // the next address
			}
			select { // only one address: wait for its next window
			case <-time.After(left + time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		client.CloseIdleConnections()
	}
	return nil, errors.New("no source address has a window with enough time left")
}

// count adds one answer up.
func (t *trial) count(resp *http.Response, err error) {
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		t.failed++
		return
	}
	if resp.Header.Get("X-RateLimit-Limit") != "" {
		t.marked++
	}
	if resp.StatusCode != http.StatusTooManyRequests {
		t.admitted++
	} else if t.retryAfter == "" {
		t.retryAfter = resp.Header.Get("Retry-After") + " s"
	}
}

// request sends one request without a body: what the handler makes of it does not
// matter, a 400 spends from the budget as well.
func (t *trial) request(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, t.method, url+t.path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection is used again
	return resp, err
}

// awaitReady waits until every node sees all others, and all that there is to decide is
// decided by one of them.
func awaitReady(ctx context.Context, servers []*service.Server) error {
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		whole, holding := true, 0
		for _, s := range servers {
			stats := s.Node().Stats()
			whole = whole && s.Node().Ready() && stats.Live == len(servers)
			holding += stats.Holding
		}
		if whole && holding == cluster.Partitions {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("the %d nodes do not hold together: %w", len(servers), ctx.Err())
		}
	}
}
