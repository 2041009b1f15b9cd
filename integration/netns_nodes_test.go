//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/integration/netnslab"
	"github.com/weir-go/weir/limiter"
)

// requireNetnsEnv makes a machine without namespaces or iptables a failure instead of a
// skip. CI sets it.
const requireNetnsEnv = "WEIR_REQUIRE_NETNS"

// unavailable skips a test that cannot run here, or fails it where it must run.
func unavailable(t *testing.T, why error) {
	t.Helper()
	if os.Getenv(requireNetnsEnv) == "1" {
		require.FailNow(t, "must not be skipped here", "%s=1, and %v", requireNetnsEnv, why)
	}
	t.Skip(why)
}

// town is a lab with a node on each host but the last, which is for clients.
type town struct {
	t           *testing.T
	lab         *netnslab.Lab
	callTimeout time.Duration
	seeds       []string
	voters      []string
	nodes       []*nsNode // by host, from 1; nil where none was started
	http        *http.Client
}

// nsNode is a node's process on a host, and the ways to ask it.
type nsNode struct {
	town  *town
	host  int
	cmd   *exec.Cmd
	stdin io.Closer
	log   *safeBuffer
	ended chan struct{} // closed when it has ended
	probe *http.Client

	gate sync.RWMutex // held by those who send to the node; locked, nobody does
}

// newTown makes a lab and starts so many nodes, which may become most, and waits until
// each sees all.
func newTown(t *testing.T, nodes, most int, callTimeout time.Duration) *town {
	t.Helper()
	lab, err := netnslab.New(most + 1)
	if errors.Is(err, netnslab.ErrUnavailable) {
		unavailable(t, err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, lab.Close()) })
	w := &town{t: t, lab: lab, callTimeout: callTimeout, nodes: make([]*nsNode, most+1)}
	for host := 1; host <= most; host++ {
		w.voters = append(w.voters, fmt.Sprintf("node%d", host))
		w.seeds = append(w.seeds, net.JoinHostPort(lab.IP(host), nsClusterPort))
	}
	w.http = w.clientOn(most + 1)
	for host := 1; host <= nodes; host++ {
		w.start(host)
	}
	w.awaitWhole()
	return w
}

// clientOn is an HTTP client on a host.
func (w *town) clientOn(host int) *http.Client {
	c := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: callers,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return w.lab.Dial(ctx, host, addr) }}}
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// start starts the node of a host; for a host that had one, it has the same name and
// address.
func (w *town) start(host int) *nsNode {
	w.t.Helper()
	text, err := json.Marshal(nsSpec{Name: fmt.Sprintf("node%d", host), IP: w.lab.IP(host), Join: w.seeds, Voters: w.voters,
		CallTimeout: w.callTimeout})
	require.NoError(w.t, err)
	n := &nsNode{town: w, host: host, log: &safeBuffer{}, ended: make(chan struct{}), probe: w.clientOn(host)}
	n.cmd = w.lab.Command(host, os.Args[0])
	n.cmd.Env = append(os.Environ(), nsEnv+"="+string(text), "WEIR_SECRET="+secret)
	n.cmd.Stderr = n.log
	n.stdin, err = n.cmd.StdinPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, n.cmd.Start())
	go func() {
		n.cmd.Wait() // the state tells how it ended
		close(n.ended)
	}()
	w.t.Cleanup(n.cleanUp)
	w.nodes[host] = n
	return n
}

// cleanUp ends the process and, if the test failed, shows its log.
func (n *nsNode) cleanUp() {
	n.signal(syscall.SIGKILL)
	n.stdin.Close()
	<-n.ended
	for _, bad := range []string{"panic:", "DATA RACE", "fatal error:"} {
		assert.NotContains(n.town.t, n.log.String(), bad, n)
	}
	if n.town.t.Failed() {
		n.town.t.Logf("log of %v:\n%s", n, n.log)
	}
}

// String is the node's name.
func (n *nsNode) String() string { return fmt.Sprintf("node%d", n.host) }

func (n *nsNode) signal(s syscall.Signal) { n.cmd.Process.Signal(s) }

// end sends a signal and waits for the process. It returns the exit code, -1 for a signal.
func (n *nsNode) end(s syscall.Signal) int {
	n.town.t.Helper()
	n.signal(s)
	select {
	case <-n.ended:
	case <-time.After(patience):
		require.FailNow(n.town.t, "the process does not end", "%v", n)
	}
	n.town.nodes[n.host] = nil
	return n.cmd.ProcessState.ExitCode()
}

// get asks the probe.
func (n *nsNode) get(ctx context.Context, what string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+nsProbeAddr+what, nil)
	if err != nil {
		return err
	}
	resp, err := n.probe.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%v: %s: %s", n, resp.Status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

// take is the node's Take.
func (n *nsNode) take(ctx context.Context, key string, l limiter.Limit, cost int64) (d limiter.Decision, err error) {
	return d, n.get(ctx, "/take?"+takeQuery(key, l, cost), &d)
}

// look takes nothing; the node has to answer.
func (n *nsNode) look(key string, l limiter.Limit) limiter.Decision {
	n.town.t.Helper()
	d, err := n.take(n.town.t.Context(), key, l, 0)
	require.NoError(n.town.t, err)
	return d
}

// stats are the node's; of one that does not answer, none.
func (n *nsNode) stats() (s nsStats) {
	ctx, cancel := context.WithTimeout(n.town.t.Context(), calm)
	defer cancel()
	if n.get(ctx, "/stats", &s) != nil {
		return nsStats{}
	}
	return s
}

// on are the nodes of some hosts, or all that run.
func (w *town) on(hosts ...int) (nodes []*nsNode) {
	for host, n := range w.nodes {
		if n == nil {
			continue
		}
		for _, h := range hosts {
			if h == host {
				nodes = append(nodes, n)
			}
		}
		if len(hosts) == 0 {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// awaitWhole waits until the nodes of some hosts, or all, see each other and nobody else,
// and each partition has one holder among them.
func (w *town) awaitWhole(hosts ...int) {
	w.t.Helper()
	nodes := w.on(hosts...)
	var seen []string
	eventually(w.t, func() bool {
		held, ok := 0, true
		seen = seen[:0]
		for _, n := range nodes {
			s := n.stats()
			ok = ok && s.Ready && s.Live == len(nodes) && s.Pending == 0
			held += s.Holding
			seen = append(seen, fmt.Sprintf("%v: ready %v, live %d, pending %d, holding %d", n, s.Ready, s.Live, s.Pending, s.Holding))
		}
		return ok && held == cluster.Partitions
	}, "%v are not whole: %v", nodes, lazily(func() string { return strings.Join(seen, "; ") }))
}

// lazily is a text that is made when it is printed.
type lazily func() string

// String makes it.
func (f lazily) String() string { return f() }

// holder is the node that decides for a key: the one that does not ask another. Nobody
// else may take meanwhile.
func (w *town) holder(key string, l limiter.Limit) *nsNode {
	w.t.Helper()
	for _, n := range w.on() {
		before := n.stats().Forwarded
		n.look(key, l)
		if n.stats().Forwarded == before {
			return n
		}
	}
	require.FailNow(w.t, "nobody holds the key", key)
	return nil
}

// lasting are so many keys of a limit whose windows do not end while a test runs.
func (w *town) lasting(l limiter.Limit, count int) (keys []string) {
	w.t.Helper()
	for i := 0; len(keys) < count; i++ {
		key := fmt.Sprintf("key %d", i)
		if w.on()[0].look(key, l).ResetAfter > 10*patience {
			keys = append(keys, key)
		}
	}
	return keys
}

// keysOf are so many of those whose holders satisfy a condition.
func (w *town) keysOf(l limiter.Limit, count int, is func(*nsNode) bool) (keys []string) {
	w.t.Helper()
	for _, key := range w.lasting(l, 100) {
		if is(w.holder(key, l)) {
			keys = append(keys, key)
		}
		if len(keys) == count {
			return keys
		}
	}
	require.FailNow(w.t, "no such keys")
	return nil
}

// requireExact waits until every node of the town counts for a key what was admitted. On a
// quiet machine that is within two flushes of the moment in which all see all.
func (w *town) requireExact(l limiter.Limit, key string, admitted int64) {
	w.t.Helper()
	for _, n := range w.on() {
		var d limiter.Decision
		eventually(w.t, func() bool { d = n.look(key, l); return d.Remaining == l.Quota-admitted },
			"%v: %q: %d were admitted, it says %v", n, key, admitted, lazily(func() string { return fmt.Sprintf("%+v", d) }))
	}
}
