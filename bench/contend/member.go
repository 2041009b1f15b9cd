package contend

import (
	"context"
	"fmt"
	"time"
)

// Member is one process of a distributed limiter, or a client of its server.
type Member interface {
	// Addr is where the others reach this member; "" where they need not.
	Addr() string
	// Meet introduces all members to each other, this one among them, and returns
	// when they are ready to decide.
	Meet(ctx context.Context, addrs []string) error
	// Taker returns a take from b that may be used by one goroutine at a time.
	Taker(b Budget) Take
	// Foreign says whether another process decides about a key under b. It spends
	// nothing from the key's budget.
	Foreign(key string, b Budget) (bool, error)
	// Forwarded counts the takes that another process decided about; -1 where that
	// is not known.
	Forwarded() int64
	// Anomalies counts answers that came in another way than the one measured: a
	// call that timed out and was decided elsewhere.
	Anomalies() int64
	// Close ends it.
	Close()
}

// Setup is what a member is started with.
type Setup struct {
	Kind    string // one of the Kinds
	Name    string // unique among the members
	Server  string // address of the server, for clients of one
	MaxKeys int
}

// Kind is a distributed contender.
type Kind struct {
	// Name is what tables call it.
	Name string
	// Redis says that a redis-server is needed, to which every member is a client.
	Redis bool
	// start opens a member.
	start func(Setup) (Member, error)
}

// Names of kinds that experiments refer to.
const (
	Weir            = "weir"
	WeirPlain       = "weir, no secret"
	Rueidis         = "Redis, rueidis"
	GoRedis         = "Redis, go-redis"
	Gubernator      = "gubernator"
	GubernatorBatch = "gubernator, batching"
	GubernatorGRPC  = "gubernator, over gRPC"
	GubernatorAll   = "gubernator GLOBAL"
	EchoTLS         = "echo, TLS"
	EchoPlain       = "echo, plain"
)

// callTimeout is how long contenders wait for an answer that is late because the
// machine is busy: long enough that a measurement at full load is one of load.
const callTimeout = 2 * time.Second

// Kinds are the distributed contenders.
var Kinds = []Kind{
	{Name: Weir, start: startWeir},
	{Name: WeirPlain, start: startWeir},
	{Name: Rueidis, Redis: true, start: startRueidis},
	{Name: GoRedis, Redis: true, start: startGoRedis},
	{Name: Gubernator, start: startGubernator},
	{Name: GubernatorBatch, start: startGubernator},
	{Name: GubernatorGRPC, start: startGubernator},
	{Name: GubernatorAll, start: startGubernator},
	{Name: EchoTLS, start: startEcho},
	{Name: EchoPlain, start: startEcho},
}

// KindOf finds a kind by its name.
func KindOf(name string) (Kind, error) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("contend: no contender is called %q", name)
}

// Start opens a member of s.Kind.
func Start(s Setup) (Member, error) {
	k, err := KindOf(s.Kind)
	if err != nil {
		return nil, err
	}
	return k.start(s)
}
