package cluster

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

var updateLog = flag.Bool("update.log", false, "write testdata/log.golden anew")

// lines collects what nodes log, one line each, by phase of a test and in sorted order:
// which node is first is chance.
type lines struct {
	mu  sync.Mutex
	now []string
	all strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = append(l.now, string(bytes.TrimSpace(b)))
	return len(b), nil
}

func (l *lines) phase(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.now)
	fmt.Fprintf(&l.all, "# %s\n", name)
	for _, s := range l.now {
		fmt.Fprintln(&l.all, s)
	}
	l.now = nil
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// What an operator reads: one true line of each node for each thing that happens. The
// file is the list; read its difference before you write it anew.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw, log := lab(t), &lines{}
		hosts, nodes := make([]*simnet.Host, 5), make([]*Node, 5)
		name := func(i int) string { return string(rune('a' + i)) }
		start := func(i int) {
			n, err := startOn(t, hosts[i], name(i), log, func(c *Config) {
				c.Logger = log.logger()
				for i := range hosts {
					c.Join = append(c.Join, fmt.Sprintf("127.1.0.%d:7946", i+1))
				}
			})
			require.NoError(t, err)
			nodes[i] = n
		}
		for i := range nodes {
			hosts[i] = nw.Host(name(i), fmt.Sprintf("127.1.0.%d", i+1))
			start(i)
			time.Sleep(2 * time.Second)
		}
		log.phase("five nodes start, one after the other; the seeds are all five")
		require.NoError(t, nodes[4].Leave(t.Context()))
		time.Sleep(20 * time.Second)
		log.phase("e leaves")
		hosts[4] = hosts[4].Restart()
		start(4)
		time.Sleep(10 * time.Second)
		log.phase("e comes back")
		hosts[3].Crash()
		nodes[3].Close()
		time.Sleep(20 * time.Second)
		log.phase("the machine of d vanishes")
		hosts[3] = hosts[3].Restart()
		start(3)
		time.Sleep(20 * time.Second)
		log.phase("d comes back")
		hosts[2].Kill()
		nodes[2].Close()
		hosts[2] = hosts[2].Restart()
		start(2)
		time.Sleep(20 * time.Second)
		log.phase("c is killed, and started at once")
		for i := range nodes {
			require.NoError(t, nodes[i].Leave(t.Context()))
			hosts[i] = hosts[i].Restart()
			start(i)
			time.Sleep(5 * time.Second)
			log.phase("rolling restart: " + name(i))
		}
		nw.Partition([]string{"a", "b"})
		time.Sleep(30 * time.Second)
		log.mu.Lock()
		log.now = nil // who is noticed first, and with whom, is chance
		log.mu.Unlock()
		nw.Heal()
		time.Sleep(20 * time.Second)
		for _, n := range nodes {
			n.Close()
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		require.NotContains(t, strings.Join(log.now, "\n"), "level=ERROR")
		for _, line := range log.now {
			require.NotContains(t, line, "\\n", "a line in a line")
		}
		const file = "testdata/log.golden"
		if *updateLog {
			require.NoError(t, os.WriteFile(file, []byte(log.all.String()), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), log.all.String())
	})
}
