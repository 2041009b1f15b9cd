package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/weir-go/weir/cluster"
)

// What a flood may do to a cluster at most.
const (
	joinMost  = 5 * time.Second
	growthMax = 64 << 10 // KiB of each victim
	filesMax  = 300
)

// plan is how cells are measured.
type plan struct {
	program, victim string // this one, and the build that the victims are
	attack          time.Duration
	callTimeout     time.Duration
	nice            int
	open            int
}

// cell is what one flood did.
type cell struct {
	mode              string
	sources           int
	totals            totals
	rate              float64 // takes per second
	over, under, keys int     // of them more and less than their quota was admitted
	degraded, failed  int
	joined            time.Duration // 0: not at all
	growth, files     int           // of the victim where it was most; KiB
	busy              float64       // cores that the first victim used
	logged            int64         // lines, of the victim with most
	slowest           time.Duration // take
}

// good says whether the cluster went on.
func (c cell) good() bool {
	return c.over == 0 && c.under == 0 && c.degraded == 0 && c.failed == 0 && c.joined > 0 && c.joined <= joinMost &&
		c.growth < growthMax && c.files < filesMax
}

const warm = 2 * time.Second // of load before the flood, and of the flood before the fourth node

// measure starts three victims, has clients ask them, floods the first, and starts a fourth.
func (p plan) measure(mode string, sources int) (c cell, err error) {
	c = cell{mode: mode, sources: sources}
	var nodes []*process
	defer func() {
		for _, n := range nodes {
			n.end()
		}
	}()
	for i, name := range []string{"a", "b", "c"} {
		join := ""
		if i > 0 {
			join = nodes[0].Bind
		}
		n, err := start(p.victim, "node", name, join, p.callTimeout)
		if err != nil {
			return c, err
		}
		nodes = append(nodes, n)
	}
	if !whole(nodes, time.Minute, true) {
		return c, fmt.Errorf("three nodes do not find each other")
	}
	l := newLoad(nodes...)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	work.Go(func() {
		took, sent := l.run(ctx)
		c.rate = float64(sent) / took.Seconds()
	})
	time.Sleep(warm)
	watching := watch(nodes)
	used, began := nodes[0].cpu(), time.Now()
	flood := make(chan error, 1)
	go func() {
		var err error
		c.totals, err = p.flood(mode, sources, nodes[0].Bind)
		flood <- err
	}()
	time.Sleep(warm)
	fourth := time.Now()
	n, err := start(p.victim, "node", "d", nodes[0].Bind, p.callTimeout)
	if err == nil {
		nodes = append(nodes, n)
		if whole(nodes, 30*time.Second, false) {
			c.joined = time.Since(fourth)
		}
		all := append([]*process(nil), nodes...)
		l.nodes.Store(&all)
	}
	err = <-flood
	c.busy = (nodes[0].cpu() - used).Seconds() / time.Since(began).Seconds()
	stop()
	work.Wait()
	c.growth, c.files = watching()
	c.over, c.under, c.keys = l.inexact()
	c.degraded, c.failed, c.slowest = l.degraded, l.failed, l.slowest
	for _, n := range nodes {
		n.log.mu.Lock()
		c.logged = max(c.logged, n.log.all)
		n.log.mu.Unlock()
	}
	return c, err
}

// flood runs the attacker as a process, or what burns as much time without a word.
func (p plan) flood(mode string, sources int, addr string) (totals, error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.attack+time.Minute)
	defer cancel()
	switch mode {
	case "none":
		time.Sleep(p.attack)
		return totals{}, nil
	case "burn":
		return attacker(ctx, p.program, p.nice, "-as", "burn", "-for", p.attack.String())
	}
	return attacker(ctx, p.program, p.nice, "-json", "-addr", addr, "-mode", mode, "-sources", strconv.Itoa(sources),
		"-open", strconv.Itoa(p.open), "-for", p.attack.String())
}

// whole waits until all nodes are ready and see all, and if they are to be settled, hold all
// partitions.
func whole(nodes []*process, most time.Duration, settled bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	c := &http.Client{Timeout: time.Second}
	defer c.CloseIdleConnections()
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		ready, holding := 0, 0
		for _, n := range nodes {
			s := n.state(ctx, c)
			if s.Ready && s.Stats.Live == len(nodes) && (!settled || s.Stats.Pending == 0) {
				ready++
			}
			holding += s.Stats.Holding
		}
		if ready == len(nodes) && (!settled || holding == cluster.Partitions) {
			return true
		}
	}
	return false
}

// watch looks at the size of processes until the result is called, which says by how much the
// one that grew most did.
func watch(all []*process) (stop func() (rss, files int)) {
	most := func(was [][2]int) (now [][2]int, rss, files int) {
		for i, p := range all {
			r, f := p.size()
			now = append(now, [2]int{r, f})
			if was != nil {
				rss, files = max(rss, r-was[i][0]), max(files, f-was[i][1])
			}
		}
		return now, rss, files
	}
	all = append([]*process(nil), all...)
	was, _, _ := most(nil)
	end := make(chan struct{})
	var rss, files int
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			_, r, f := most(was)
			rss, files = max(rss, r), max(files, f)
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() (int, int) {
		close(end)
		wg.Wait()
		return rss, files
	}
}

// table measures the modes from one source and from 200, and before them the same cluster without
// a flood, and beside what only burns time. It says whether all was well.
func (p plan) table(w io.Writer, modes []string) (good bool, err error) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\tsources\tconn/s\tpackets/s\ttakes/s\tkeys\tover\tunder\tdegraded\tfailed\tjoined\tRSS MiB\tfiles\tcores\tlog\tslowest\t\t")
	good = true
	for _, mode := range modes {
		for _, sources := range []int{1, sourcesMax} {
			if sources > 1 && (mode == "none" || mode == "burn") {
				continue
			}
			c, err := p.measure(mode, sources)
			if err != nil {
				return false, fmt.Errorf("%s from %d: %w", mode, sources, err)
			}
			verdict := "good"
			if !c.good() {
				verdict, good = "BAD", false
			}
			fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%d\t%.2f s\t%+.1f\t%+d\t%.2f\t%d\t%.0f ms\t%s\t\n", c.mode, c.sources,
				c.totals.perSecond(c.totals.Connections), c.totals.perSecond(c.totals.Packets), c.rate, c.keys, c.over, c.under,
				c.degraded, c.failed, c.joined.Seconds(), float64(c.growth)/1024, c.files, c.busy, c.logged, float64(c.slowest.Milliseconds()), verdict)
		}
	}
	return good, t.Flush()
}
