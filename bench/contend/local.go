package contend

import (
	"math"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Budget is what takes are made against.
type Budget struct {
	// Quota is how much may be taken per Window.
	Quota int64
	// Window is the length of the window. Contenders that refill all the time give
	// back Quota/Window meanwhile, so a check needs a long one.
	Window time.Duration
	// Lease matters to weir only.
	Lease limiter.Lease
}

// Ample is a budget that no measurement uses up, and that all contenders can express.
var Ample = Budget{Quota: 1 << 30, Window: 24 * time.Hour, Lease: limiter.LeaseOff}

// Take takes 1 from the budget of a key. It is for one goroutine.
type Take func(key string) (admitted bool, err error)

// Local is a limiter within one process.
type Local struct {
	// Name is what tables call it.
	Name string
	// Make builds it with room for so many keys. The function that it returns is
	// called once for each goroutine that takes.
	Make func(b Budget, maxKeys int) (perGoroutine func() Take, err error)
}

// Locals are the local contenders, weir first: the others' ratios are to the first.
var Locals = []Local{
	{"weir", makeWeir},
	{"go-limiter", makeGoLimiter},
	{"x/time sharded", makeXTime},
	{"throttled", makeThrottled},
	{"ulule", makeUlule},
	{"httprate", makeHTTPRate},
	{"gubernator", makeGubernator},
}

// shared is for contenders whose take needs nothing of its own per goroutine.
func shared(t Take) func() Take { return func() Take { return t } }

// asInt is a quota for those that count in int, on machines where that is small too.
func asInt(quota int64) int { return int(min(quota, math.MaxInt32)) }
