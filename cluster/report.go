package cluster

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// What an operator reads of the members: one line for each change, and it is true.

// reportMembers tells what the step from one view to the next means. restarted are nodes
// that have new processes.
func (n *Node) reportMembers(old, v *view, restarted []string) {
	was, is := old.table.Members(), v.table.Members()
	restarted = slices.DeleteFunc(restarted, func(name string) bool { return !slices.Contains(was, name) || !slices.Contains(is, name) })
	if slices.Equal(was, is) && len(restarted) == 0 {
		return
	}
	args := []any{"node", n.cfg.Name, "live", len(is), "known", v.known}
	level := slog.LevelInfo
	some := func(what string, names []string) {
		if len(names) > 0 {
			args = append(args, what, names)
		}
	}
	var joined, left, lost []string
	for _, name := range is {
		if !slices.Contains(was, name) && !slices.Contains(restarted, name) {
			joined = append(joined, name)
		}
	}
	for _, name := range was {
		switch m := n.members.get(name); {
		case slices.Contains(is, name):
		case name == n.cfg.Name || m == nil || m.leaving:
			left = append(left, name)
		default:
			lost, level = append(lost, name), slog.LevelWarn
		}
	}
	some("joined", joined)
	some("restarted", restarted)
	some("left", left)
	some("lost", lost)
	n.log.Log(context.Background(), level, "members", append(args, "names", is)...)
}

// gossipLog takes memberlist's log. Nearly all of it is for debugging: what it calls
// errors are a node that leaves while somebody talks to it, a stranger's packet, or a
// crash that the members tell of. What only gossip can know is told in our words, and not
// again for a while.
type gossipLog struct {
	to   *slog.Logger
	node string

	mu   sync.Mutex
	told map[string]time.Time
}

const gossipLogEvery = 10 * time.Minute

var gossipTells = []struct{ line, means string }{
	{"over TCP but UDP probes failed", "packets do not reach a node that streams reach: is UDP blocked? News of members travels slowly"},
	{"handler queue full", "more gossip comes in than can be handled"},
	{"Too many pending push/pull", "more gossip comes in than can be handled"},
}

func (g *gossipLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	for _, t := range gossipTells {
		if !bytes.Contains(line, []byte(t.line)) {
			continue
		}
		g.mu.Lock()
		last, known := g.told[t.means]
		again := !known || time.Since(last) > gossipLogEvery
		if again {
			if g.told == nil {
				g.told = map[string]time.Time{}
			}
			g.told[t.means] = time.Now()
		}
		g.mu.Unlock()
		if again {
			g.to.Warn(t.means, "node", g.node, "gossip", text)
			return len(line), nil
		}
	}
	g.to.Debug("gossip", "node", g.node, "line", text)
	return len(line), nil
}
