package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"time"
)

const readyPoll = 5 * time.Millisecond

// WaitReady returns when the node is Ready, with ErrClosed when it leaves or is closed, or with
// the error of ctx.
func (n *Node) WaitReady(ctx context.Context) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for !n.Ready() {
		if n.leaving.Load() || n.closed.Load() {
			return ErrClosed
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Condition is what there is to say of a node's health.
type Condition struct {
	// Ready is the node's Ready.
	Ready bool `json:"ready"`
	// Reasons say why the node is not ready, or what is not as it should be although it is: each is
	// a sentence without a full stop. None of them has a key or a secret.
	Reasons []string `json:"reasons"`
}

// Condition tells it at the moment of the question.
func (n *Node) Condition() Condition {
	s := n.Stats()
	c := Condition{Ready: n.Ready(), Reasons: []string{}}
	say := func(when bool, format string, args ...any) {
		if when {
			c.Reasons = append(c.Reasons, fmt.Sprintf(format, args...))
		}
	}
	say(n.closed.Load(), "the node is closed")
	say(n.leaving.Load() && !n.closed.Load(), "the node is leaving")
	say(!n.settled.Load(), "the node is starting: it has not met the others yet")
	alone := n.settled.Load() && !c.Ready && n.solitary()
	say(alone && n.isOutdated(), "the node is alone: its seeds refuse it, since they are of another version")
	say(alone && !n.isOutdated(), "the node is alone, or was until a moment ago: none of its seeds had answered")
	say(s.Pending > 0, "%d partitions are on their way to this node", s.Pending)
	say(s.Live < s.Known, "%d of %d known nodes are seen", s.Live, s.Known)
	say(s.Unreachable > 0, "%d nodes do not answer this one", s.Unreachable)
	say(s.Behind > time.Second, "copies have waited for %v to be shipped", s.Behind.Round(time.Millisecond))
	say(s.VoterLists > 1, "there are %d different lists of voters", s.VoterLists)
	if q := n.quorum; q != nil && q.self >= 0 {
		say(!s.Votes, "this voter does not know yet what it promised before it was started")
	}
	return c
}

// Health answers probes, with the Condition as JSON. A path that ends in "/live" asks whether the
// process lives: 200 until Close. Any other asks whether requests should come here: 200 where the
// node is Ready, else 503. What is not as it should be is told with 200 as well: a load balancer that
// takes nodes out for it takes them out when they are needed most.
func (n *Node) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := n.Condition()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		ok := c.Ready
		if path.Base(r.URL.Path) == "live" {
			ok = !n.closed.Load()
		}
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(c) // who asked may be gone
	})
}
