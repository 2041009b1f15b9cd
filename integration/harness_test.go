package integration

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
)

const (
	secret = "the secret of the integration tests"
	// patience is how long anything may take that takes a moment on a quiet machine.
	patience = 30 * time.Second
	pollGap  = 20 * time.Millisecond
	// calm keeps a busy machine from being taken for a dead node: what is asked again after
	// a timeout may be counted twice.
	calm = time.Second
)

// process is a node in a process of its own.
type process struct {
	t     *testing.T
	spec  spec
	told  told
	cmd   *exec.Cmd
	stdin io.Closer
	tells *bufio.Reader // what it prints
	log   *safeBuffer
	ended chan struct{} // closed when it has ended
}

// launch starts a process and waits until it says where it is. One that ends instead is
// an error, in which its log is.
func launch(t *testing.T, s spec) (*process, error) {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	p := &process{t: t, spec: s, log: &safeBuffer{}, ended: make(chan struct{})}
	p.cmd = exec.Command(cmp.Or(s.program, os.Args[0]))
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = p.log
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	r, w := io.Pipe() // not StdoutPipe: Wait would close it under the reader
	p.cmd.Stdout = w
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.cleanUp)
	go func() {
		p.cmd.Wait() // the state tells how it ended
		w.Close()
		close(p.ended)
	}()
	p.tells = bufio.NewReader(r)
	line, _ := p.tells.ReadBytes('\n')
	if json.Unmarshal(line, &p.told) != nil {
		p.waitEnd()
		return nil, fmt.Errorf("node %s ended: %s", s.Name, p.log)
	}
	return p, nil
}

// must is launch for a process that cannot fail.
func must(t *testing.T, s spec) *process {
	t.Helper()
	p, err := launch(t, s)
	require.NoError(t, err)
	return p
}

// startAll starts n nodes that join the first, and waits until all see all.
func startAll(t *testing.T, n int, s spec) []*process {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	s.Secret = secret
	var all []*process
	for i := range n {
		s.Name = fmt.Sprintf("node%d", i+1)
		if i > 0 {
			s.Join = []string{all[0].told.Bind}
		}
		all = append(all, must(t, s))
	}
	awaitNodes(t, n, all...)
	return all
}

// cleanUp ends the process and, if the test failed, shows its log.
func (p *process) cleanUp() {
	p.kill(syscall.SIGCONT)
	p.kill(syscall.SIGKILL)
	p.stdin.Close()
	<-p.ended
	assert.NotContains(p.t, p.log.String(), "panic:", p.spec.Name)
	assert.NotContains(p.t, p.log.String(), "DATA RACE", p.spec.Name)
	if p.t.Failed() {
		p.t.Logf("log of %s:\n%s", p.spec.Name, p.log)
	}
}

// kill sends a signal; a process that has ended does not mind.
func (p *process) kill(s syscall.Signal) { p.cmd.Process.Signal(s) }

// waitEnd waits for the process and returns its exit code, -1 for a signal.
func (p *process) waitEnd() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.FailNow(p.t, "the process does not end", "%s: %s", p.spec.Name, p.log)
		return 0
	}
}

// versions are those of the living members that the process knows, in the order of their names.
func (p *process) versions() (all []string) {
	p.t.Helper()
	p.kill(syscall.SIGUSR1)
	line, err := p.tells.ReadBytes('\n')
	require.NoError(p.t, err)
	var members []cluster.Member
	require.NoError(p.t, json.Unmarshal(line, &members))
	for _, m := range members {
		if m.State == "living" {
			all = append(all, m.Version)
		}
	}
	return all
}

// health is what GET /health says.
type health struct {
	Status string `json:"status"`
	Nodes  int    `json:"nodes"`
}

func (p *process) health() (h health) {
	c := http.Client{Timeout: calm}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://" + p.told.HTTP + "/health")
	if err != nil {
		return h
	}
	defer resp.Body.Close()
	json.NewDecoder(resp.Body).Decode(&h)
	return h
}

// awaitNodes waits until each of the processes is ready and sees n nodes.
func awaitNodes(t *testing.T, n int, processes ...*process) {
	t.Helper()
	for _, p := range processes {
		var h health
		eventually(t, func() bool { h = p.health(); return h == health{"ok", n} },
			"%s should see %d nodes, and says %v", p.spec.Name, n, &h)
	}
}

// eventually polls a condition until it holds. Arguments that it changes are pointers.
func eventually(t *testing.T, holds func() bool, format string, args ...any) {
	t.Helper()
	within(t, patience, holds, format, args...)
}

// within is eventually for what has a time of its own to wait for.
func within(t *testing.T, most time.Duration, holds func() bool, format string, args ...any) {
	t.Helper()
	for end := time.Now().Add(most); !holds(); time.Sleep(pollGap) {
		if time.Now().After(end) {
			require.FailNow(t, fmt.Sprintf(format, args...))
		}
	}
}

// safeBuffer is a buffer that a process writes while a test reads.
type safeBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write appends.
func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is what was written.
func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
