package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary the program itself: only a process of its own has
// signals and an exit code.
const asProgram = "AUTHSERVICE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience is how long anything may take that takes a moment on a quiet machine.
const patience = 30 * time.Second

// program is the service in a process, with a policy file.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	urls []string // one per node
	log  *lockedBuffer
	out  io.Reader
	exit func() int // waits for the end
}

// lockedBuffer is written by the process while a test reads.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// written makes a policy file. It is as old as files usually are, so that its time of
// change vouches for its content.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	setOld(t, file)
	return file
}

var old = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func setOld(t *testing.T, file string) {
	t.Helper()
	require.NoError(t, os.Chtimes(file, old, old))
}

// quotaOf is a policy of one limit.
func quotaOf(n any) string {
	return fmt.Sprintf("# a test\ndefault:\n  - {name: default, quota: %v, window: 8000h}\n", n)
}

// launch starts the service with a policy file, and waits until it says where its nodes are.
func launch(t *testing.T, policy string, nodes int, flags ...string) *program {
	t.Helper()
	file := written(t, policy)
	p := launchWith(t, nil, append([]string{"-nodes", strconv.Itoa(nodes), "-http", "127.0.0.1:0", "-bind", "127.0.0.1:0",
		"-drain", "0s", "-policy", file}, flags...)...)
	p.file = file
	require.Len(t, p.urls, nodes, "%s", p.log)
	return p
}

// launchWith starts the service with just these flags, and waits until it says where its nodes are.
func launchWith(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	p := spawn(t, env, args...)
	p.awaitPlaces()
	return p
}

// spawn starts the service.
func spawn(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a process")
	}
	p := &program{t: t, log: &lockedBuffer{}}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = slices.Concat(os.Environ(), []string{asProgram + "=1"}, env)
	p.cmd.Stderr = p.log
	r, w := io.Pipe() // not StdoutPipe: Wait would close it under the reader
	p.cmd.Stdout, p.out = w, r
	require.NoError(t, p.cmd.Start())
	ended := make(chan struct{})
	p.exit = func() int { <-ended; return p.cmd.ProcessState.ExitCode() }
	go func() {
		defer close(ended)
		_ = p.cmd.Wait() // the state tells how it ended
		_ = w.Close()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.exit()
		assert.NotContains(t, p.log.String(), "panic:")
		assert.NotContains(t, p.log.String(), "DATA RACE")
		if t.Failed() {
			t.Logf("the log:\n%s", p.log)
		}
	})
	return p
}

// awaitPlaces waits until the service says where its nodes are.
func (p *program) awaitPlaces() {
	p.t.Helper()
	watchdog := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	told := bufio.NewScanner(p.out)
	at := regexp.MustCompile(`^\S+ +(http://\S+) +cluster `)
	for told.Scan() && !strings.Contains(told.Text(), "/v1/token ") {
		if m := at.FindStringSubmatch(told.Text()); m != nil {
			p.urls = append(p.urls, m[1])
		}
	}
	require.NotEmpty(p.t, p.urls, "%s", p.log)
	go func() { _, _ = io.Copy(io.Discard, p.out) }()
}

// end tells the program to end, and returns its exit code.
func (p *program) end() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	watchdog := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	return p.exit()
}

// limits are the limits that the nodes tell for a path, "" for none.
func (p *program) limits(path string) (found []string) {
	c := http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	for _, url := range p.urls {
		resp, err := c.Get(url + path)
		require.NoError(p.t, err)
		resp.Body.Close()
		found = append(found, resp.Header.Get("X-RateLimit-Limit"))
	}
	return found
}

// awaitLimit waits until all nodes tell a limit.
func (p *program) awaitLimit(limit string) {
	p.t.Helper()
	all := slices.Repeat([]string{limit}, len(p.urls))
	p.await(func() bool { return slices.Equal(p.limits("/v1/agents"), all) }, "limit "+limit)
}

// logged are the lines of the log with a text.
func (p *program) logged(text string) (lines []string) {
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// awaitLog waits until n lines of the log have a text, and returns the last.
func (p *program) awaitLog(text string, n int) string {
	p.t.Helper()
	p.await(func() bool { return len(p.logged(text)) >= n }, fmt.Sprintf("%d × %s", n, text))
	return p.logged(text)[n-1]
}

func (p *program) await(holds func() bool, what string) {
	p.t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !holds(); <-poll.C {
		if time.Now().After(end) {
			require.FailNow(p.t, "it does not come about", "%s", what)
		}
	}
}

// replace puts another file in the place of the policy file, as most editors do.
func (p *program) replace(text string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(p.file+".new", []byte(text), 0o600))
	require.NoError(p.t, os.Rename(p.file+".new", p.file))
}

// writeUnseen changes the policy file so that its size, its time of change and which file
// it is stay the same: whoever only watches sees nothing.
func (p *program) writeUnseen(text string) {
	p.t.Helper()
	before, err := os.Stat(p.file)
	require.NoError(p.t, err)
	require.Len(p.t, text, int(before.Size()))
	f, err := os.OpenFile(p.file, os.O_WRONLY, 0)
	require.NoError(p.t, err)
	_, err = f.WriteString(text)
	require.NoError(p.t, err)
	require.NoError(p.t, f.Close())
	setOld(p.t, p.file)
}

// hangUp sends SIGHUP.
func (p *program) hangUp() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGHUP))
}
