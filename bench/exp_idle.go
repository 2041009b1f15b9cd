package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

const (
	idleWeirNode = "weir, a program of its own"
	idleNothing  = "nothing (this program)"
	idleRedis    = "redis-server"
)

// idle: what a limiter uses that nobody asks.
func idle() experiment {
	return experiment{
		name: "idle", rounds: 1,
		rows: []string{idleWeirNode, contend.Weir, contend.Gubernator, idleRedis, idleNothing},
		run: func(ctx context.Context, p pace, row string) (cells, error) {
			switch row {
			case idleWeirNode:
				return idleNodes(ctx, p)
			case idleRedis:
				s, err := startRedis(ctx)
				if err != nil {
					return nil, err
				}
				defer s.close()
				return watch(ctx, p, func() ([]usage, error) { return usages(s.cmd.Process.Pid) })
			case idleNothing:
				c, err := startChild(ctx)
				if err != nil {
					return nil, err
				}
				defer c.close()
				return watch(ctx, p, (&ensemble{members: []*child{c}}).usages)
			}
			begin := time.Now()
			e, err := gather(ctx, row, 3)
			if err != nil {
				return nil, err
			}
			defer e.close()
			start := time.Since(begin)
			got, err := watch(ctx, p, e.usages)
			if err == nil {
				got["start"] = float64(start)
			}
			return got, err
		},
		tables: []report.Table{{
			Title: "Idle: one node of three, asked nothing",
			Note: "Resident memory and share of one core, the mean of the nodes. Every process of the benchmark carries all\n" +
				"contenders, and so weighs what \"nothing\" weighs; the first row is a program that has only weir in it.\n" +
				"Start is from nothing to three nodes that see each other, with what it takes to find that out (0.2 s).",
			Columns: []report.Column{
				{Name: "RSS", Key: "rss", Unit: report.Bytes},
				{Name: "CPU", Key: "cpu", Unit: report.Share},
				{Name: "start", Unit: report.Nanoseconds},
			},
		}},
	}
}

func (e *ensemble) usages() ([]usage, error) {
	return all(e, func(c *child) (usage, error) { return ask[usage](c, "usage", nil) })
}

func usages(pids ...int) (us []usage, err error) {
	for _, pid := range pids {
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		us = append(us, u)
	}
	return us, nil
}

// watch lets processes rest for a while, and says what they use then.
func watch(ctx context.Context, p pace, read func() ([]usage, error)) (cells, error) {
	if err := pause(ctx, pick(p, 3*time.Second, 500*time.Millisecond)); err != nil {
		return nil, err
	}
	before, err := read()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := pause(ctx, pick(p, 10*time.Second, time.Second)); err != nil {
		return nil, err
	}
	after, err := read()
	if err != nil {
		return nil, err
	}
	var cpu, rss float64
	for i := range after {
		cpu += float64(after[i].CPU - before[i].CPU)
		rss += float64(after[i].RSS)
	}
	n := float64(len(after))
	return cells{"cpu": cpu / n / float64(time.Since(begin)), "rss": rss / n}, nil
}

// idleNodes builds the small program, and watches three of it.
func idleNodes(ctx context.Context, p pace) (cells, error) {
	dir, err := os.MkdirTemp("", "weirnode")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "weirnode")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/weir-go/weir/bench/weirnode")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	var pids []int
	var join []string
	for range 3 {
		cmd := exec.CommandContext(ctx, path, join...)
		cmd.WaitDelay = time.Second
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		defer func() {
			_ = in.Close() // ends it
			_ = cmd.Wait()
		}()
		addr, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("weirnode does not start: %w", err)
		}
		pids, join = append(pids, cmd.Process.Pid), append(join, strings.TrimSpace(addr))
	}
	return watch(ctx, p, func() ([]usage, error) { return usages(pids...) })
}
