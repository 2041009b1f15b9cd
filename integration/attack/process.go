package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is a victim, seen from outside.
type process struct {
	spot
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   lines
}

// lines keeps what a victim logs, up to a megabyte.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
	all int64
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all += int64(bytes.Count(b, []byte("\n")))
	if l.buf.Len() < 1<<20 {
		l.buf.Write(b)
	}
	return len(b), nil
}

// start starts a victim, and waits until it says where it is.
func start(program, as, name, join string, callTimeout time.Duration) (*process, error) {
	p := &process{name: name}
	p.cmd = exec.Command(program, "-as", as, "-name", name, "-join", join, "-call-timeout", callTimeout.String())
	p.cmd.Stderr = &p.log
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.spot)
	}
	if err != nil {
		p.end()
		return nil, fmt.Errorf("%s does not start: %w\n%s", name, err, &p.log.buf)
	}
	return p, nil
}

// end kills it, and waits.
func (p *process) end() {
	p.cmd.Process.Kill()
	p.stdin.Close()
	p.cmd.Wait()
}

// state asks a node how it is; what does not answer is not ready.
func (p *process) state(ctx context.Context, c *http.Client) (s state) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.HTTP+"/state", nil)
	if err != nil {
		return s
	}
	resp, err := c.Do(r)
	if err != nil {
		return s
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&s) != nil {
		return state{}
	}
	return s
}

// cpu is the time that it has used, in the kernel, too; Linux counts in ticks of 10 ms.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// size is its resident memory in KiB, and its open files.
func (p *process) size() (rss, files int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			rss, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return rss, len(open)
}

// lost is how many packets the kernel dropped that the process was too slow for.
func (p *process) lost() (n int64) {
	_, port, _ := strings.Cut(p.Bind, ":")
	number, _ := strconv.Atoi(port)
	b, _ := os.ReadFile("/proc/net/udp")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
			n, _ = strconv.ParseInt(f[len(f)-1], 10, 64)
		}
	}
	return n
}

// attacker is this program as a stranger, or as a burner of the same CPU. It yields to everybody
// else: on one machine with its victims it would otherwise take the time from the clients, too.
func attacker(ctx context.Context, program string, nice int, args ...string) (totals, error) {
	cmd := exec.CommandContext(ctx, "nice", append([]string{"-n", strconv.Itoa(nice), program}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var t totals
	if err == nil {
		err = json.Unmarshal(out, &t)
	}
	return t, err
}
