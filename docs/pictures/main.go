// Command pictures draws what each algorithm admits of the same traffic, for
// docs/choosing-limits.md:
//
//	go run ./docs/pictures
//
// The decisions are those of a real limiter.Local, whose clock the program moves. So the
// pictures are the same each time, and a test holds the committed ones equal to them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-go/weir/limiter"
)

func main() {
	dir := flag.String("dir", "docs/pictures", "where the pictures go")
	flag.Parse()
	for name, traffic := range pictures {
		svg, err := picture(traffic)
		if err == nil {
			err = os.WriteFile(filepath.Join(*dir, name), svg, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "pictures:", err)
			os.Exit(1)
		}
	}
}

const quota = 60 // per minute, of all limits here

// limits are what the pictures compare.
var limits = []struct {
	code  string
	limit limiter.Limit
}{
	{"Per(60, time.Minute)", limiter.Per(quota, time.Minute)},
	{"Sliding(60, time.Minute)", limiter.Sliding(quota, time.Minute)},
	{"Bucket(60, time.Minute, 60)", limiter.Bucket(quota, time.Minute, quota)},
	{"Bucket(60, time.Minute, 10)", limiter.Bucket(quota, time.Minute, 10)},
}

// traffic is what a client sends.
type traffic struct {
	title   string
	seconds int // how long the picture is
	bar     int // how many of them make a bar
	rate    int // requests per second while it sends
	sends   func(second int) bool
}

var pictures = map[string]traffic{
	"edge.svg": {
		title:   "Two bursts across the edges of a minute: 12 requests a second for 10 seconds",
		seconds: 150, bar: 1, rate: 12,
		sends: func(s int) bool { return (s+5)%60 < 10 && s >= 55 },
	},
	"overload.svg": {
		title:   "Steady overload: 2 requests a second, twice what the limit allows",
		seconds: 240, bar: 2, rate: 2,
		sends: func(int) bool { return true },
	},
}

// admitted are the instants at which requests are let in, from the beginning of a window on.
func admitted(t traffic, l limiter.Limit) (at []time.Duration, err error) {
	now := time.Unix(1_800_000_000, 0)
	local := limiter.NewLocal(limiter.Config{Now: func() time.Time { return now }})
	take := func() (d limiter.Decision) {
		if err == nil {
			d, err = local.Take(context.Background(), "client", l, 1)
		}
		return d
	}
	// A key's windows begin at an instant of its own. When the budget is whole again, one does.
	now = now.Add(take().ResetAfter)
	start := now
	for s := range t.seconds {
		if !t.sends(s) {
			continue
		}
		for i := range t.rate {
			now = start.Add(time.Duration(s)*time.Second + time.Duration(i)*time.Second/time.Duration(t.rate))
			if take().Allowed {
				at = append(at, now.Sub(start))
			}
		}
	}
	return at, err
}

// most is how many of the instants lie within one span of time at most.
func most(at []time.Duration, span time.Duration) (n int) {
	first := 0
	for last := range at {
		for at[last]-at[first] >= span {
			first++
		}
		n = max(n, last-first+1)
	}
	return n
}
