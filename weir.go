// Package weir limits rates in services that run on several machines: the nodes of a service find
// each other, every key has one node that counts for it, and all together hold one budget per key.
//
// It is the front door of the packages behind it: all that most services need, under one name. The
// types are the same ones, so what is not here is found there:
//
//	limiter     limits, a limiter for one process, waiting for a budget
//	cluster     nodes, how they find each other, what happens when things fail
//	middleware  policies in front of HTTP handlers and of calls, keys, events
//
// What must be imported by itself: middleware/policyfile for policies in files, the adapters for other
// frameworks than net/http, which are modules of their own, and client for the other side.
//
// A guarded server is:
//
//	node, err := weir.Start(ctx, weir.Config{Bind: bind, Join: join, Secret: secret})
//	guard, err := weir.New(node, weir.Policy{
//		Default: []weir.Rule{{Name: "default", Limit: weir.Per(100, time.Minute)}},
//		Routes:  []weir.Route{weir.Exempt("GET /health")},
//	})
//	http.ListenAndServe(":8080", guard.Wrap(mux))
//
// A worker asks the node itself:
//
//	d, err := weir.Wait(ctx, node, weir.KeyOf("mail", tenant), weir.Bucket(10, time.Second, 5), 1)
package weir

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// Version is the semantic version of weir, without a "v". Every node tells it: see [Node.Members].
// docs/upgrading.md says which versions can be in one cluster.
const Version = cluster.Version

// Node is a member of the cluster. Stop the HTTP server first, then call its Leave.
type Node = cluster.Node

// Config says how a node finds the others. The zero value is a node that is alone.
type Config = cluster.Config

// Secret is what the nodes of a cluster know, and nobody else. It is not shown when it is printed.
type Secret = cluster.Secret

// NewSecret makes a secret, as text: for the file or variable from which all nodes read it.
func NewSecret() Secret { return cluster.NewSecret() }

// Start starts a node. It returns when the node has found the others, or is the first.
func Start(ctx context.Context, c Config) (*Node, error) { return cluster.Start(ctx, c) }

// Local is a limiter for one process, with the methods of a [Node].
type Local = limiter.Local

// LocalConfig is the configuration of a [Local]. The zero value is good.
type LocalConfig = limiter.Config

// NewLocal makes a limiter for one process.
func NewLocal(c LocalConfig) *Local { return limiter.NewLocal(c) }

// Limit is a budget. Per, Sliding, Bucket, Daily and Monthly make one; its fields Split and Lease say
// what a cluster may do with it.
type Limit = limiter.Limit

// Per is a fixed window: at most quota per window, of which each key has its own.
func Per(quota int64, window time.Duration) Limit { return limiter.Per(quota, window) }

// Sliding is a sliding window: no burst of two quotas across the border of two windows.
func Sliding(quota int64, window time.Duration) Limit { return limiter.Sliding(quota, window) }

// Bucket is a token bucket: quota tokens per window, evenly, of which it holds burst; 0 means quota.
func Bucket(quota int64, window time.Duration, burst int64) Limit {
	return limiter.Bucket(quota, window, burst)
}

// Daily is a quota from midnight to midnight of a time zone such as "Europe/Berlin"; "" is UTC.
func Daily(quota int64, zone string) Limit { return limiter.Daily(quota, zone) }

// Monthly is a quota per month of a time zone; "" is UTC.
func Monthly(quota int64, zone string) Limit { return limiter.Monthly(quota, zone) }

// What a cluster that has fallen apart may admit: Config.Split, or a limit's own.
const (
	SplitFull   = limiter.SplitFull
	SplitShare  = limiter.SplitShare
	SplitQuorum = limiter.SplitQuorum
)

// Decision is the answer to one Take.
type Decision = limiter.Decision

// Taker is whatever can be taken from: a *[Node], a *[Local], or what wraps one.
type Taker = limiter.Taker

// KeyOf joins the parts of a key for Take, usually a name and a subject, so that no two lists of
// parts give the same key.
func KeyOf(parts ...string) string { return limiter.Key(parts...) }

// Wait takes cost, and waits as long as the budget says and ctx allows, in one queue with all others
// who wait. If there is no time, the error wraps [ErrWait].
func Wait(ctx context.Context, t Taker, key string, l Limit, cost int64) (Decision, error) {
	return limiter.Wait(ctx, t, key, l, cost)
}

// ErrWait is wrapped by the error of a Wait for which the context has no time.
var ErrWait = limiter.ErrWait

// TakeUpTo takes as much as there is, most at most, and returns how much that was.
func TakeUpTo(ctx context.Context, t Taker, key string, l Limit, most int64) (int64, Decision, error) {
	return limiter.TakeUpTo(ctx, t, key, l, most)
}
