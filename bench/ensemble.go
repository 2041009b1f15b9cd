package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-go/weir/bench/contend"
)

// memberKeys is how many budgets each member can hold: more than any run uses.
const memberKeys = 1 << 18

// ensemble is the processes of one distributed contender: members that have met, and
// the server that they ask, if they do.
type ensemble struct {
	members []*child
	redis   *redisServer
}

// gather starts so many members. They end with ctx, or with close.
func gather(ctx context.Context, kind string, n int) (*ensemble, error) {
	e := &ensemble{}
	if err := e.open(ctx, kind, n); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *ensemble) open(ctx context.Context, kind string, n int) error {
	k, err := contend.KindOf(kind)
	if err != nil {
		return err
	}
	setup := contend.Setup{Kind: kind, MaxKeys: memberKeys}
	if k.Redis {
		if e.redis, err = startRedis(ctx); err != nil {
			return err
		}
		setup.Server = e.redis.addr
	}
	var addrs []string
	for i := range n {
		c, err := startChild(ctx)
		if err != nil {
			return err
		}
		e.members = append(e.members, c)
		setup.Name = fmt.Sprintf("node%d", i)
		addr, err := ask[string](c, "start", setup)
		if err != nil {
			return err
		}
		if addrs = append(addrs, addr); !k.Redis {
			setup.Server = addrs[0]
		}
	}
	_, err = all(e, func(c *child) (none, error) { return ask[none](c, "meet", addrs) })
	return err
}

// all asks every member at the same time.
func all[T any](e *ensemble, f func(*child) (T, error)) ([]T, error) {
	results, errs := make([]T, len(e.members)), make([]error, len(e.members))
	var wg sync.WaitGroup
	for i, c := range e.members {
		wg.Go(func() { results[i], errs[i] = f(c) })
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

// choose has every member choose its keys.
func (e *ensemble) choose(k keyChoice) error {
	_, err := all(e, func(c *child) (none, error) { return ask[none](c, "keys", k) })
	return err
}

// cpu is what all processes have used so far.
func (e *ensemble) cpu() (total time.Duration, err error) {
	used, err := all(e, func(c *child) (usage, error) { return ask[usage](c, "usage", nil) })
	if err != nil {
		return 0, err
	}
	for _, u := range used {
		total += u.CPU
	}
	if e.redis != nil {
		u, err := usageOf(e.redis.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		total += u.CPU
	}
	return total, nil
}

// together has every member take at the same time, and adds up what came of it. The
// percentiles are the worst member's.
func (e *ensemble) together(a loadArgs) (sum loadResult, err error) {
	results, err := all(e, func(c *child) (loadResult, error) { return ask[loadResult](c, "load", a) })
	if err != nil {
		return sum, err
	}
	for _, r := range results {
		sum.Takes += r.Takes
		sum.Admitted += r.Admitted
		sum.Errors += r.Errors
		sum.Anomalies += r.Anomalies
		if sum.Error == "" {
			sum.Error = r.Error
		}
		sum.Rate += r.Rate
		sum.Fastest = max(sum.Fastest, r.Rate)
		sum.Took = max(sum.Took, r.Took)
		sum.P50, sum.P99 = max(sum.P50, r.P50), max(sum.P99, r.P99)
		sum.P9999, sum.Max = max(sum.P9999, r.P9999), max(sum.Max, r.Max)
	}
	return sum, nil
}

// err is what was not as it should be in a load, or nil.
func (r loadResult) err() error {
	switch {
	case r.Errors > 0:
		return fmt.Errorf("%d of %d takes failed: %s", r.Errors, r.Takes, r.Error)
	case r.Anomalies > 0:
		return fmt.Errorf("%d of %d takes were not answered in time, and decided elsewhere", r.Anomalies, r.Takes)
	}
	return nil
}

func (e *ensemble) close() {
	for _, c := range e.members {
		c.close()
	}
	if e.redis != nil {
		e.redis.close()
	}
}
