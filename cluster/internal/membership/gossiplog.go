package membership

import (
	"bytes"
	"log/slog"
	"sync"
	"time"
)

// gossipLog takes memberlist's log. Nearly all of it is for debugging: what it calls
// errors are a node that leaves while somebody talks to it, a stranger's packet, or a
// crash that the members tell of. What only gossip can know is told in our words, and not
// again for a while.
type gossipLog struct {
	to *slog.Logger

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
			g.to.Warn(t.means, "gossip", text)
			return len(line), nil
		}
	}
	g.to.Debug("gossip", "line", text)
	return len(line), nil
}
