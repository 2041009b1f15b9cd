package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	perSecond = 500 // requests
	keys      = 25  // asked for in turn
	asks      = 40  // of each key, twice its quota; then come others
	batch     = keys * asks
	perTake   = 5 * time.Second
)

// load is clients of a cluster, with keys of their own. Every key is asked for as often in the
// end, at all nodes.
type load struct {
	client *http.Client
	nodes  atomic.Pointer[[]*process]

	mu       sync.Mutex // guards what follows
	admitted map[string]int
	asked    map[string]int
	degraded int
	failed   int
	slowest  time.Duration
}

func newLoad(nodes ...*process) *load {
	l := &load{admitted: map[string]int{}, asked: map[string]int{}, client: &http.Client{Timeout: perTake,
		Transport: &http.Transport{MaxIdleConnsPerHost: perSecond, DisableCompression: true}}}
	l.nodes.Store(&nodes)
	return l
}

// run asks at an even pace until ctx ends and all keys have been asked for as often.
func (l *load) run(ctx context.Context) (took time.Duration, sent int) {
	began := time.Now()
	var wg sync.WaitGroup
	for i := 0; ctx.Err() == nil || i%batch != 0; i++ {
		if wait := time.Until(began.Add(time.Duration(i) * time.Second / perSecond)); wait > 0 {
			time.Sleep(wait)
		}
		wg.Go(func() { l.take(i) })
		sent++
	}
	took = time.Since(began)
	wg.Wait()
	return took, sent
}

func (l *load) take(i int) {
	key := fmt.Sprintf("key-%d-%d", i/batch, i%keys)
	nodes := *l.nodes.Load()
	began := time.Now()
	a, err := l.ask(nodes[(i+i/keys)%len(nodes)], key)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[key]++
	l.slowest = max(l.slowest, took)
	switch {
	case err != nil:
		l.failed++
	case a.Allowed:
		l.admitted[key]++
	}
	if a.Degraded {
		l.degraded++
	}
}

func (l *load) ask(p *process, key string) (a answer, err error) {
	resp, err := l.client.Get("http://" + p.HTTP + "/take?key=" + key)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return a, errors.New(resp.Status)
	}
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// inexact counts the keys of which more than their quota was admitted, and less.
func (l *load) inexact() (over, under, all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, n := range l.asked {
		if n != asks {
			panic(fmt.Sprint(key, " was asked for ", n, " times"))
		}
		switch got := l.admitted[key]; {
		case got > quota:
			over++
		case got < quota:
			under++
		}
	}
	return over, under, len(l.asked)
}
