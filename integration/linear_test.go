package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// What a healthy cluster answers is what one sequential limiter could have answered:
// for every history of concurrent calls there is an order of them, in keeping with who
// had returned before who began, in which a fixed window of four lines gives the same
// answers to the last digit. Nodes that join or leave meanwhile change nothing. What may
// differ is said in the model: a node believes a denial that left nothing for up to a
// second, so it may miss a refund that others made. Leases, under which what remains
// is a lower bound, are off.

// budget is a limiter: one process, or a node of a cluster.
type budget interface {
	Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error)
	Give(ctx context.Context, key string, l limiter.Limit, cost int64) error
}

// call is what a client asks for, reply what it is told.
type call struct {
	key  string
	give bool
	cost int64
}

type reply struct {
	window    int64 // number of the window that was decided in
	allowed   bool
	remaining int64
	at        time.Duration // when it came, since the workload began
}

// window is the whole state of the sequential limiter, for one key.
type window struct {
	number, taken int64
	empty         time.Duration // when nothing was left last
}

// remembered is for how long a denial is believed, and some time for it to get there.
const remembered = 1100 * time.Millisecond

func sequential(quota int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return window{} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(window), input.(call), output.(reply)
			if in.give {
				s.taken = max(0, s.taken-in.cost) // in a window that is over, it makes no difference
				return true, s
			}
			if out.window < s.number {
				return false, s
			}
			if out.window > s.number {
				s = window{number: out.window}
			}
			if in.cost > 0 && !out.allowed && out.remaining == 0 && s.empty > 0 && out.at-s.empty < remembered {
				return true, s
			}
			allowed := s.taken+max(in.cost, 1) <= quota // a cost of 0 asks whether anything is left
			if allowed {
				s.taken += in.cost
			}
			if s.taken == quota {
				s.empty = max(s.empty, out.at)
			}
			return out.allowed == allowed && out.remaining == quota-s.taken, s
		},
	}
}

// linear is nil if a history is one that the sequential limiter could have had, key by
// key. The error tells where it stops being one.
func linear(history []porcupine.Operation, quota int64) error {
	byKey := map[string][]porcupine.Operation{}
	for _, op := range history {
		k := op.Input.(call).key
		byKey[k] = append(byKey[k], op)
	}
	for key, ops := range byKey {
		result, found := porcupine.CheckOperationsVerbose(sequential(quota), ops, time.Minute)
		if result == porcupine.Ok {
			continue
		}
		most := 0
		var last porcupine.Operation
		for _, order := range found.PartialLinearizationsOperations()[0] {
			if len(order) > most {
				most, last = len(order), order[len(order)-1]
			}
		}
		return fmt.Errorf("key %s: %s: of %d calls %d fit, the last is %+v, answered %+v, at number %d",
			key, result, len(ops), most, last.Input, last.Output, last.Call)
	}
	return nil
}

// workload is some clients that call at random until told to stop, and what they saw.
type workload struct {
	t     *testing.T
	limit limiter.Limit
	on    func(client int, r *rand.Rand) budget // whom a client asks next
	pause func(r *rand.Rand)                    // between two calls of a client
	most  int                                   // calls per client; 0 is until stop

	began   time.Time
	first   map[string]time.Time // end of the first window of each key
	order   atomic.Int64         // calls and returns by number: finer than any clock
	clients sync.WaitGroup
	stopped atomic.Bool
	seen    [clients][]porcupine.Operation
}

const (
	clients = 8
	keys    = 5
)

// begin lets the clients run; nodes may come and go until stop.
func (w *workload) begin() {
	w.first, w.began = map[string]time.Time{}, time.Now()
	for k := range keys {
		key := strconv.Itoa(k)
		d, err := w.on(0, rand.New(rand.NewPCG(1, 1))).Take(w.t.Context(), key, w.limit, 0)
		require.NoError(w.t, err)
		w.first[key] = time.Now().Add(d.ResetAfter)
	}
	for c := range clients {
		w.clients.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(c)))
			for n := 0; !w.stopped.Load() && (w.most == 0 || n < w.most); n++ {
				w.once(c, r)
				w.pause(r)
			}
		})
	}
}

// once makes one call: mostly takes, some looks and some refunds.
func (w *workload) once(client int, r *rand.Rand) {
	in := call{key: strconv.Itoa(r.IntN(keys)), give: r.IntN(10) == 0, cost: r.Int64N(4)}
	on := w.on(client, r)
	op := porcupine.Operation{ClientId: client, Input: in, Call: w.order.Add(1)}
	var err error
	var d limiter.Decision
	if in.give {
		err = on.Give(w.t.Context(), in.key, w.limit, in.cost)
	} else {
		d, err = on.Take(w.t.Context(), in.key, w.limit, in.cost)
	}
	// Ends of windows are whole windows apart; to the nearest, since the answer took
	// a moment to get here.
	since := time.Now().Add(d.ResetAfter).Sub(w.first[in.key])
	op.Return, op.Output = w.order.Add(1), reply{int64((since + w.limit.Window/2) / w.limit.Window), d.Allowed, d.Remaining, max(1, time.Since(w.began))}
	assert.NoError(w.t, err, "%+v", in)
	assert.False(w.t, d.Degraded, "a healthy cluster has an owner for %+v", in)
	w.seen[client] = append(w.seen[client], op)
}

// stop ends the clients and returns all that they saw.
func (w *workload) stop() []porcupine.Operation {
	w.stopped.Store(true)
	return w.wait()
}

// wait is stop for clients that end by themselves.
func (w *workload) wait() (history []porcupine.Operation) {
	w.clients.Wait()
	for _, ops := range w.seen {
		history = append(history, ops...)
	}
	return history
}

// requireLinear checks a history, and first that it is one that could fail.
func requireLinear(t *testing.T, history []porcupine.Operation, quota int64) {
	t.Helper()
	var admitted, denied int
	for _, op := range history {
		switch out := op.Output.(reply); {
		case op.Input.(call).give:
		case out.allowed:
			admitted++
		default:
			denied++
		}
	}
	t.Logf("%d calls, %d admitted, %d denied", len(history), admitted, denied)
	require.NotZero(t, admitted)
	require.NotZero(t, denied)
	require.NoError(t, linear(history, quota))
}

// fleet is the nodes that clients may ask, while others come and go.
type fleet struct {
	nodes atomic.Pointer[[]*cluster.Node]
}

func (f *fleet) set(nodes ...*cluster.Node) { f.nodes.Store(&nodes) }

func (f *fleet) pick(_ int, r *rand.Rand) budget {
	nodes := *f.nodes.Load()
	return nodes[r.IntN(len(nodes))]
}

// without is the fleet's nodes but one.
func (f *fleet) without(node *cluster.Node) (rest []*cluster.Node) {
	for _, n := range *f.nodes.Load() {
		if n != node {
			rest = append(rest, n)
		}
	}
	return rest
}

// drainAfter is how long a leaving node is still asked: as long as a load balancer
// needs to notice, and less than a leave takes.
const drainAfter = 50 * time.Millisecond

func TestSequentialWhileNodesComeAndGo(t *testing.T) {
	limit := limiter.Limit{Quota: 150, Window: time.Second, Lease: limiter.LeaseOff}
	var history []porcupine.Operation
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		var f fleet
		f.set(c.Node(0), c.Node(1), c.Node(2))
		w := &workload{t: t, limit: limit, on: f.pick,
			pause: func(r *rand.Rand) { time.Sleep(time.Duration(r.Int64N(int64(4 * time.Millisecond)))) }}
		w.begin()
		join := func(node int) {
			f.set(append(f.without(nil), c.Node(node))...)
			c.Settle()
		}
		leave := func(node int) {
			rest := f.without(c.Node(node))
			time.AfterFunc(drainAfter, func() { f.set(rest...) })
			require.NoError(t, c.Leave(node))
		}
		join(c.Add())
		leave(0)
		join(c.Add())
		leave(1)
		c.Restart(0) // news of its leave may still be under way
		join(0)
		leave(2)
		c.Settle()
		var forwarded int64
		for _, i := range c.Running() {
			forwarded += c.Node(i).Stats().Forwarded
		}
		require.NotZero(t, forwarded, "calls went from node to node")
		history = w.stop()
	})
	requireLinear(t, history, limit.Quota)
}

// The same with real sockets and real time, three nodes and then four and then three.
func TestSequentialOnLoopback(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real nodes")
	}
	var seeds []string
	start := func() *cluster.Node {
		n := startNode(t, cluster.Config{Name: "node" + strconv.Itoa(len(seeds)), Join: seeds, CallTimeout: calm})
		seeds = append(seeds, n.Addr())
		return n
	}
	var f fleet
	f.set(start(), start(), start())
	awaitWhole(t, *f.nodes.Load()...)

	pace := time.NewTicker(time.Second / 2000) // for all clients together
	defer pace.Stop()
	// No window ends meanwhile.
	limit := limiter.Limit{Quota: 100, Window: 300 * 24 * time.Hour, Lease: limiter.LeaseOff}
	const enough = 3000 // calls and returns: 300 calls for each budget of 100, of more than one on average
	w := &workload{t: t, limit: limit, on: f.pick, pause: func(*rand.Rand) { <-pace.C }}
	w.begin()
	defer w.stop()
	f.set(append(f.without(nil), start())...)
	awaitWhole(t, *f.nodes.Load()...)
	gone := (*f.nodes.Load())[0]
	rest := f.without(gone)
	time.AfterFunc(drainAfter, func() { f.set(rest...) })
	require.NoError(t, gone.Leave(t.Context()))
	awaitWhole(t, rest...)
	eventually(t, func() bool { return w.order.Load() > enough }, "the clients are slower than %d calls and returns", enough)
	history := w.stop()
	for _, n := range rest { // of what a successor decides, the owner may not know in time
		require.Zero(t, n.Stats().Failovers, "%s: some call took longer than %v", n.Name(), calm)
	}
	requireLinear(t, history, limit.Quota)
}

// broken is a limiter with a fault in every fiftieth take that it admits.
type broken struct {
	*limiter.Local
	fault func(b *limiter.Local, key string, l limiter.Limit, cost int64) error
	takes atomic.Int64
}

func (b *broken) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	d, err := b.Local.Take(ctx, key, l, cost)
	if d.Allowed && cost > 0 && b.takes.Add(1)%50 == 0 {
		err = b.fault(b.Local, key, l, cost)
	}
	return d, err
}

// The check is worth something only if it finds what it looks for.
func TestSequentialFindsBrokenLimiters(t *testing.T) {
	limit := limiter.Per(200, 300*24*time.Hour)
	check := func(fault func(b *limiter.Local, key string, l limiter.Limit, cost int64) error) error {
		b := &broken{Local: limiter.NewLocal(limiter.Config{}), fault: fault}
		w := &workload{t: t, limit: limit, most: 500, on: func(int, *rand.Rand) budget { return b }, pause: func(*rand.Rand) {}}
		w.begin()
		return linear(w.wait(), limit.Quota)
	}
	require.NoError(t, check(func(*limiter.Local, string, limiter.Limit, int64) error { return nil }), "sound")
	require.Error(t, check(func(b *limiter.Local, key string, l limiter.Limit, cost int64) error {
		return b.Give(t.Context(), key, l, cost)
	}), "forgets a hit")
	require.Error(t, check(func(b *limiter.Local, key string, l limiter.Limit, cost int64) error {
		_, err := b.Take(t.Context(), key, l, cost)
		return err
	}), "counts a hit twice")
}
