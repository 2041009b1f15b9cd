package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
)

// Unreachable tells who does not answer whom: for each node that says so, this one among them, the names of
// the nodes that it sees and gets no answers from. Nodes that do not answer this one, or whose version
// does not know the question, are not in it. It waits for them no longer than a take would, and not longer
// than ctx.
func (n *Node) Unreachable(ctx context.Context) map[string][]string {
	v := n.view.Load()
	var mu sync.Mutex // guards told
	told := map[string][]string{n.cfg.Name: v.unanswered()}
	var wg sync.WaitGroup
	for _, p := range v.all {
		if p.down.Load() {
			continue
		}
		wg.Go(func() {
			c := &wire.Silent{}
			if p.calls.Call(ctx, time.Now().Add(n.waitFor(p)), wire.KindSilent, c) != nil {
				return // an older node refuses it; one that is gone is noticed by those who need it
			}
			mu.Lock()
			defer mu.Unlock()
			told[p.name] = c.Names
		})
	}
	wg.Wait()
	return told
}

// unanswered are the names of the peers that have failed to answer.
func (v *view) unanswered() []string {
	var names []string
	for _, p := range v.all {
		if p.down.Load() && len(names) < wire.SilentMost {
			names = append(names, p.name)
		}
	}
	return names
}

// serveSilent tells who does not answer this node.
func (n *Node) serveSilent(body, buf []byte) ([]byte, error) {
	c := &wire.Silent{}
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	c.Names = n.view.Load().unanswered()
	return c.AppendAnswer(buf), nil
}
