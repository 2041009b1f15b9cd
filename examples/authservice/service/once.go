package service

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Without a store, all that the nodes know together is what weir counts. A budget of one
// is enough to know a fact: who takes it first made it true, and who finds it spent knows
// that it is true, on whichever node. So codes work once, and revocations and deletions
// are heard of everywhere.

// mark is such a fact. Once set it stays set for its life, which must be the same wherever
// the mark is used, and at least as long as what it is about.
type mark struct {
	kind, id string
	life     time.Duration
}

// clockSlack is how far the nodes' wall clocks may be apart: by those a code expires, while
// a mark ends by the cluster's own time.
const clockSlack = 5 * time.Minute

// retryLife is how long a request may be repeated whose answer was lost.
const retryLife = 5 * time.Minute

// codeUsed and refreshUsed mean that a code or refresh token was exchanged already.
func codeUsed(id string) mark    { return mark{"code", id, codeLife + clockSlack} }
func refreshUsed(id string) mark { return mark{"refresh token", id, grantLifeMax + clockSlack} }

// refreshWon means that a refresh token was exchanged by the request of this idempotency
// key: the same request may come again, if its answer was lost.
func refreshWon(id, key string) mark {
	return mark{"refresh request", limiter.Key(id, key), retryLife}
}

// tokenRevoked and grantRevoked mean that one token, or all of a grant, is void.
func tokenRevoked(jti string) mark { return mark{"revoked token", jti, accessLife + clockSlack} }
func grantRevoked(id string) mark  { return mark{"revoked grant", id, grantLifeMax + clockSlack} }

// agentDeleted means that an agent is no more.
func agentDeleted(did string) mark { return mark{"deleted agent", did, agentLife + clockSlack} }

// key is none that a rule of a policy can have: the names of rules are printable.
func (m mark) key() string { return limiter.Key("\x00authservice "+m.kind, m.id) }

// limit is a token bucket of one: from the take on it is empty for just its window. A
// fixed window would end at some moment in between.
func (m mark) limit() limiter.Limit {
	return limiter.Limit{Quota: 1, Window: m.life, Algorithm: limiter.TokenBucket}
}

// taker is the part of a node that marks need.
type taker interface {
	Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error)
	Give(ctx context.Context, key string, l limiter.Limit, cost int64) error
}

// marks are all facts that the nodes know together.
type marks struct{ node taker }

// errUnsure means that the node which would know did not answer. A rate limit may then be
// judged by a share of it, but a code must not work twice: better later than twice.
var errUnsure = errors.New("service: whether this happened already cannot be known just now")

// set makes a fact true, and says whether it was this call that did.
func (s marks) set(ctx context.Context, m mark) (first bool, err error) {
	d, err := s.node.Take(ctx, m.key(), m.limit(), 1)
	switch {
	case err != nil:
		return false, errUnsure
	case d.Degraded && d.Allowed:
		_ = s.node.Give(ctx, m.key(), m.limit(), 1) // the next try finds it unused, if nobody else took it
		return false, errUnsure
	case d.Degraded:
		return false, errUnsure
	}
	return d.Allowed, nil
}

// isSet says whether a fact is true, and for how long it has been. It changes nothing.
func (s marks) isSet(ctx context.Context, m mark) (set bool, since time.Duration, err error) {
	d, err := s.node.Take(ctx, m.key(), m.limit(), 0)
	if err != nil || d.Degraded {
		return false, 0, errUnsure
	}
	return !d.Allowed, m.life - d.ResetAfter, nil
}

// anySet says whether one of several facts is true. They are asked for at the same time,
// since each may be another node's to know.
func (s marks) anySet(ctx context.Context, facts ...mark) (bool, error) {
	var wg sync.WaitGroup
	set, errs := make([]bool, len(facts)), make([]error, len(facts))
	for i, m := range facts {
		wg.Go(func() { set[i], _, errs[i] = s.isSet(ctx, m) })
	}
	wg.Wait()
	if slices.Contains(set, true) {
		return true, nil // whatever the others would have said
	}
	return false, errors.Join(errs...)
}
