// Package status is a page that shows what a node does, and the same as JSON:
//
//	page := status.Handler(node, status.Config{})
//	defer page.Close()
//	policy.OnDecision = page.OnDecision // decisions by rule and path, and the top keys
//	guard, err := middleware.New(node, policy)
//	page.Guard(guard) // the rules, and Explain
//	admin.Handle("/weir", yourAuthentication(page))
//
// It has no authentication of its own: mount it behind yours, or on a port that only operators reach.
// What one request goes through, in order: GET makes a [Report] of what the node and the events tell, and
// shows it as a page, or with ?format=json as JSON. POST, from the page's form, explains what is left of a
// subject's budgets without counting; and where [Config].AllowReset is set, with the token of the page,
// makes them whole.
//
// The page is one document: no other is loaded, by its Content-Security-Policy none can be. It works
// without JavaScript; with it, it refreshes itself. docs/status.md says what each part means.
package status

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// KeysDefault is the default of [Config].Keys.
const KeysDefault = 256

// Node is what a *cluster.Node tells.
type Node interface {
	Name() string
	Addr() string
	Stats() cluster.Stats
	Condition() cluster.Condition
	Members() []cluster.Member
	Unreachable(ctx context.Context) map[string][]string
	Overshoot(limiter.Limit) int64
	Explain(ctx context.Context, key string, l limiter.Limit) (cluster.Explanation, error)
}

// Config is what a page shows and allows. The zero value shows no subject and changes nothing.
type Config struct {
	// ShowKeys shows subjects by name in the lists of top keys: addresses, users, tenants. They come with
	// the events only where [middleware.Policy].RevealKeys is set as well. Without it budgets have ids.
	ShowKeys bool
	// AllowReset lets who sees the page make budgets whole, and lift bans.
	AllowReset bool
	// Keys is how many keys the lists of top keys count at a time, each of them: no count is wrong by more than
	// all that was counted divided by it. 0 means KeysDefault. A key takes some 120 bytes, twice.
	Keys int
	// Logger hears of resets. Nil means slog.Default.
	Logger *slog.Logger
}

// Page shows a node. It is safe for concurrent use.
type Page struct {
	node    Node
	cfg     Config
	guard   atomic.Pointer[middleware.Middleware]
	events  events
	history history
	token   [32]byte // key of the tokens
	foreign *http.CrossOriginProtection

	close  sync.Once
	closed chan struct{}
	done   chan struct{}
}

// Handler makes the page of a node, which is an http.Handler. It reads the node's counters every two
// seconds, until Close.
func Handler(node Node, c Config) *Page {
	if c.Keys <= 0 {
		c.Keys = KeysDefault
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	p := &Page{node: node, cfg: c, foreign: http.NewCrossOriginProtection(), closed: make(chan struct{}), done: make(chan struct{})}
	rand.Read(p.token[:]) // it does not fail
	p.events.keys, p.events.names, p.events.limits = c.Keys, c.ShowKeys, map[string]limiter.Limit{}
	p.events.begin(time.Now())
	p.note(time.Now())
	go p.run()
	return p
}

// Guard shows the rules of a middleware, and what is lost there, and lets the page explain. It may be called
// later than Handler, since the middleware's policy is what has OnDecision.
func (p *Page) Guard(g *middleware.Middleware) { p.guard.Store(g) }

// OnDecision counts a decision; it is for [middleware.Policy].OnDecision.
func (p *Page) OnDecision(e middleware.Event) { p.events.hear(&e) }

// Close ends the sampling. The page goes on answering, and its history ends there. It may be called more
// than once.
func (p *Page) Close() {
	p.close.Do(func() { close(p.closed) })
	<-p.done
}

func (p *Page) run() {
	defer close(p.done)
	every := time.NewTicker(step)
	defer every.Stop()
	for {
		select {
		case at := <-every.C:
			p.events.turn(at)
			p.note(at)
		case <-p.closed:
			return
		}
	}
}

// sample reads what there is now.
func (p *Page) sample(at time.Time, stats *cluster.Stats) sample {
	s := sample{at: at, takes: takesOf(stats)}
	p.events.mu.Lock()
	s.paths = p.events.byPath
	p.events.mu.Unlock()
	return s
}

// note adds a sample to the history.
func (p *Page) note(at time.Time) {
	s := p.node.Stats()
	p.history.add(p.sample(at, &s))
}
