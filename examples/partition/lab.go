package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

const (
	quota   = 100
	window  = time.Second // so that a window is a second of the chart
	perSide = 150         // requests per second on each side: either could spend the quota
	key     = "client"    // its owner is on the larger side

	settleMax = 20 * time.Second
	poll      = 20 * time.Millisecond
)

// sides are the nodes of the two sides of the cut.
var sides = [2][]string{{"a1", "a2", "a3"}, {"b1", "b2"}}

// second is what each side admitted in one window.
type second [2]int

func (s second) total() int { return s[0] + s[1] }

// result is one run.
type result struct {
	mode      limiter.Split
	seconds   []second
	cut, heal int // before which second
	// When the last node saw only its own side, and when the last saw all again, in
	// seconds of the run.
	noticed, whole float64
}

// phases are the seconds by what all nodes knew. A second in which that changed
// counts as the phase before.
func (r result) phases() (whole, unnoticed, noticed, again []second) {
	n, w := int(math.Ceil(r.noticed)), int(math.Ceil(r.whole))
	return r.seconds[:r.cut], r.seconds[r.cut:n], r.seconds[n:r.heal], r.seconds[w:]
}

func most(s []second) (m int) {
	for _, x := range s {
		m = max(m, x.total())
	}
	return m
}

// lab is one cluster under traffic.
type lab struct {
	net   *simnet.Network
	limit limiter.Limit
	nodes [2][]*cluster.Node // by side

	first time.Time // when the first second ends
	mu    sync.Mutex
	got   []second // guarded by mu
}

// split runs one cluster through a cut and a heal.
func split(ctx context.Context, mode limiter.Split, seconds int, say func(string)) (result, error) {
	r := result{mode: mode, cut: seconds / 4, heal: seconds * 3 / 4}
	l := &lab{
		net:   simnet.New(simnet.Options{Latency: 200 * time.Microsecond, KeepAlive: 2 * time.Second}),
		limit: limiter.Limit{Quota: quota, Window: window, Split: mode},
		got:   make([]second, seconds),
	}
	defer l.close()
	if err := l.start(ctx); err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin, err := l.border(ctx)
	if err != nil {
		return r, err
	}
	say("whole; traffic begins")
	var traffic sync.WaitGroup
	for side := range l.nodes {
		for _, n := range l.nodes[side] {
			traffic.Go(func() { l.ask(ctx, side, n, time.Second/perSide*time.Duration(len(l.nodes[side]))) })
		}
	}
	err = l.story(ctx, begin, &r, say)
	cancel()
	traffic.Wait()
	r.seconds = l.got
	return r, err
}

// story is what happens to the network, and when the nodes know.
func (l *lab) story(ctx context.Context, begin time.Time, r *result, say func(string)) error {
	at := func(second int) time.Time { return begin.Add(time.Duration(second) * window) }
	since := func() float64 { return time.Since(begin).Seconds() }

	sleepUntil(ctx, at(r.cut))
	l.net.Partition(sides[0], sides[1])
	say("cut")
	if err := l.await(ctx, at(r.heal), l.apart); err != nil {
		return fmt.Errorf("%v: the cut was not noticed: %w", r.mode, err)
	}
	r.noticed = since()
	say("cut noticed by all")
	sleepUntil(ctx, at(r.heal))
	l.net.Heal()
	say("healed")
	if err := l.await(ctx, at(len(l.got)), l.whole); err != nil {
		return fmt.Errorf("%v: not whole again: %w", r.mode, err)
	}
	r.whole = since()
	say("whole again")
	sleepUntil(ctx, at(len(l.got)))
	return ctx.Err()
}

func sleepUntil(ctx context.Context, at time.Time) {
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
	}
}

// start starts the nodes and waits until all see all.
func (l *lab) start(ctx context.Context) error {
	var join []string
	voters := slices.Concat(sides[0], sides[1])
	for side, names := range sides {
		for i, name := range names {
			h := l.net.Host(name, fmt.Sprintf("127.1.%d.%d", side, i+1))
			addr := h.Addr().String() + ":7946"
			join = append(join, addr)
			n, err := cluster.Start(ctx, cluster.Config{
				Name: name, Bind: addr, Join: join, Network: h,
				ExpectedNodes: len(voters), Voters: voters,
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				return err
			}
			l.nodes[side] = append(l.nodes[side], n)
		}
	}
	return l.await(ctx, time.Now().Add(settleMax), l.whole)
}

// await waits until the nodes are where they should be.
func (l *lab) await(ctx context.Context, until time.Time, done func() bool) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for !done() {
		sleepUntil(ctx, time.Now().Add(poll))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// apart says whether every node sees its own side and nobody else.
func (l *lab) apart() bool { return l.see(len(sides[0]), len(sides[1])) }

// whole says whether every node sees all, decides for all that it owns, and votes: before it does, a
// limit that wants a quorum is denied, and that answer tells nothing of windows.
func (l *lab) whole() bool {
	for _, nodes := range l.nodes {
		for _, n := range nodes {
			if s := n.Stats(); !n.Ready() || s.Pending > 0 || !s.Votes {
				return false
			}
		}
	}
	all := len(sides[0]) + len(sides[1])
	return l.see(all, all)
}

// see says whether the nodes of each side see so many.
func (l *lab) see(live ...int) bool {
	for side, nodes := range l.nodes {
		for _, n := range nodes {
			if n.Stats().Live != live[side] {
				return false
			}
		}
	}
	return true
}

// border waits for the beginning of a window, which is the first of the run.
func (l *lab) border(ctx context.Context) (time.Time, error) {
	d, err := l.nodes[0][0].Take(ctx, key, l.limit, 0)
	if err != nil {
		return time.Time{}, err
	}
	if d.Degraded {
		return time.Time{}, errors.New("nobody knows yet where the windows lie")
	}
	begin := time.Now().Add(d.ResetAfter)
	l.first = begin.Add(window)
	sleepUntil(ctx, begin)
	return begin, ctx.Err()
}

// ask asks a node at a steady pace, without waiting for its answers.
func (l *lab) ask(ctx context.Context, side int, n *cluster.Node, every time.Duration) {
	pace := time.NewTicker(every)
	defer pace.Stop()
	var asked sync.WaitGroup
	defer asked.Wait()
	for {
		select {
		case <-pace.C:
			asked.Go(func() {
				if d, err := n.Take(ctx, key, l.limit, 1); err == nil && d.Allowed {
					l.admitted(side, time.Now().Add(d.ResetAfter))
				}
			})
		case <-ctx.Done():
			return
		}
	}
}

// admitted counts one hit in the window that ends at end: the one that the node
// counted it in, however long the answer took.
func (l *lab) admitted(side int, end time.Time) {
	i := int(math.Round(end.Sub(l.first).Seconds() / window.Seconds()))
	l.mu.Lock()
	defer l.mu.Unlock()
	if i >= 0 && i < len(l.got) {
		l.got[i][side]++
	}
}

func (l *lab) close() {
	l.net.Heal()
	for _, nodes := range l.nodes {
		for _, n := range nodes {
			n.Close()
		}
	}
}
