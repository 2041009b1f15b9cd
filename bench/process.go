package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/weir-go/weir/bench/contend"
)

// process is what a child remembers from one request to the next.
type process struct {
	member contend.Member
	keys   []string // what load takes from
}

// do carries out one request. A contender that panics fails its measurement with
// that, and the child can be asked again.
func (p *process) do(req request) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("%s: panic: %v\n%s", req.Op, r, debug.Stack())
		}
	}()
	switch req.Op {
	case "local admission":
		return with(req, measureAdmission)
	case "local hot":
		return with(req, measureHot)
	case "local many":
		return with(req, measureMany)
	case "start":
		return with(req, p.start)
	case "meet":
		return with(req, p.meet)
	case "keys":
		return with(req, p.choose)
	case "load":
		return with(req, p.load)
	case "usage":
		return usageOfSelf()
	case "growth":
		return with(req, measureGrowth)
	case "ring":
		return with(req, measureRing)
	case "shipping":
		return with(req, measureShipping)
	}
	return nil, fmt.Errorf("no operation is called %q", req.Op)
}

// with decodes the arguments of a request.
func with[A, R any](req request, f func(A) (R, error)) (any, error) {
	var args A
	if err := json.Unmarshal(req.Args, &args); err != nil {
		return nil, fmt.Errorf("%s: %w", req.Op, err)
	}
	return f(args)
}

type none struct{}

// start opens a member, and says where it is.
func (p *process) start(s contend.Setup) (addr string, err error) {
	if p.member, err = contend.Start(s); err != nil {
		return "", err
	}
	return p.member.Addr(), nil
}

// meetTime is how long members may take to see each other.
const meetTime = 20 * time.Second

func (p *process) meet(addrs []string) (none, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), meetTime, fmt.Errorf("the %d members do not see each other", len(addrs)))
	defer cancel()
	return none{}, p.member.Meet(ctx, addrs)
}

// keyChoice says which keys the loads to come take from.
type keyChoice struct {
	Prefix  string
	Count   int
	Foreign bool // only such that another process decides about
	Budget  contend.Budget
}

// searchMost is how many keys are tried, and more for more: gubernator's hash gives
// hundreds of keys that are alike to one owner.
const searchMost = 10_000

// choose finds keys.
func (p *process) choose(c keyChoice) (none, error) {
	p.keys = p.keys[:0]
	for i := 0; len(p.keys) < c.Count; i++ {
		key := fmt.Sprintf("%s:%06d", c.Prefix, i)
		if c.Foreign {
			foreign, err := p.member.Foreign(key, c.Budget)
			if err != nil {
				return none{}, err
			}
			if i > 100*c.Count+searchMost {
				return none{}, fmt.Errorf("of %d keys only %d belong to another member", i, len(p.keys))
			}
			if !foreign {
				continue
			}
		}
		p.keys = append(p.keys, key)
	}
	return none{}, nil
}
