//go:build unix

package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All commands of docs/quickstart.md, as they stand there but for ports and paths, print what
// the page says.
func TestQuickstart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, tool := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	var script strings.Builder
	for _, b := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text(t, "docs/quickstart.md"), -1) {
		script.WriteString(b[1])
	}
	var out string
	for range 3 { // a minute may end among the requests: then nobody is refused, or not everybody
		out = quickstart(t, script.String())
		if strings.Contains(out, strings.Repeat("400 ", 20)+"429 ") && strings.Contains(out, "\n429 429 429 429 429 \n") {
			break
		}
	}
	for i := range 3 {
		assert.Contains(t, out, fmt.Sprintf(`{"node":"node%d","nodes":3,"status":"ok"}`, i+1))
	}
	assert.Contains(t, out, "\n"+strings.Repeat("400 ", 20)+strings.Repeat("429 ", 5)+"\n")
	assert.Regexp(t, `HTTP/1.1 429 Too Many Requests\r\n(.+\r\n)*Retry-After: \d+\r\n`, out)
	assert.Contains(t, out, `"code":"RATE_LIMIT_EXCEEDED"`)
	assert.Contains(t, out, `"limit": "20 per 1m0s, fixed-window"`)
	assert.Regexp(t, `"refuses": true(?s:.*)"remaining": 0(?s:.*)"holder": "node[123]"`, out)
	assert.Contains(t, out, "\n429 429 429 429 429 \n", "after a crash")
}

// quickstart runs a script and ends whatever it has started.
func quickstart(t *testing.T, script string) string {
	t.Helper()
	cluster, http, admin := freeTens(t), freeTens(t), freeTens(t)
	script = strings.NewReplacer(":794", ":"+cluster, ":808", ":"+http, ":909", ":"+admin, "/tmp/", t.TempDir()+"/").Replace(script)
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir, cmd.SysProcAttr = root, &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(2*time.Minute, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left, if anything
	require.NoError(t, err, "%s\n%s", &out, &said)
	return out.String()
}

// freeTens are the first digits of ports of which those that end with 1, 2 and 3 are free, for
// TCP and UDP.
func freeTens(t *testing.T) string {
	t.Helper()
	for range 100 {
		tens, free := 1100+rand.IntN(2000), true
		for i := 1; i <= 3 && free; i++ {
			addr := fmt.Sprintf("127.0.0.1:%d%d", tens, i)
			l, err := net.Listen("tcp", addr)
			if err == nil {
				l.Close()
			}
			p, errUDP := net.ListenPacket("udp", addr)
			if errUDP == nil {
				p.Close()
			}
			free = err == nil && errUDP == nil
		}
		if free {
			return fmt.Sprint(tens)
		}
	}
	t.Fatal("no free ports")
	return ""
}
