// Attack plays strangers on the port of a node, on loopback only: to see what they cost it,
// and whether it goes on. It knows no secret.
//
//	go run ./integration/attack -addr 127.0.0.1:7946 -mode silent -sources 200 -for 10s
//
// Modes: silent (connects and says nothing), onebyte (says one byte), slow (a byte now and
// then), tls (begins TLS at once), gossip-stream (pretends to be encrypted gossip), packets
// (sealed packets that nothing opens), garbage (random bytes, on connections and in packets).
//
// It also measures, with victims of its own in processes: what each mode does to three nodes
// that decide 500 times a second, and to a fourth that joins them, and what a connection and a
// packet cost. It ends with 1 where a budget is not exact, or another bound does not hold.
//
//	go run ./integration/attack -table
//	go run ./integration/attack -cost
//
// Linux only, since it reads /proc. With -victim the victims are another build of this program.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// totals is what an attack did.
type totals struct {
	Connections, Packets, Failed int64
	Seconds                      float64
}

func (t totals) perSecond(n int64) float64 {
	if t.Seconds == 0 {
		return 0
	}
	return float64(n) / t.Seconds
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run() error {
	var a attack
	var p plan
	addr := flag.String("addr", "", "address of the node, on loopback")
	flag.StringVar(&a.mode, "mode", "silent", "what to do")
	flag.IntVar(&a.sources, "sources", 1, "source addresses, 127.0.1.x; 200 at most")
	flag.IntVar(&a.open, "open", 512, "connections at a time")
	flag.DurationVar(&a.pause, "pause", 0, "how long each of them rests between two; 0: full speed")
	most := flag.Duration("for", 10*time.Second, "how long, a minute at most")
	asJSON := flag.Bool("json", false, "print the totals as JSON")
	table := flag.Bool("table", false, "measure what floods do to a cluster")
	cost := flag.Bool("cost", false, "measure what strangers cost a node")
	only := flag.String("modes", "none,burn,"+strings.Join(modes, ","), "what -table and -cost measure")
	flag.StringVar(&p.victim, "victim", "", "the `program` that the victims are; default: this one")
	flag.IntVar(&p.nice, "nice", 19, "niceness of the attacker in -table and -cost")
	flag.DurationVar(&p.callTimeout, "call-timeout", 100*time.Millisecond, "of the victims")
	as := flag.String("as", "", "be a victim")
	name, join := flag.String("name", "", "of a victim"), flag.String("join", "", "of a victim")
	flag.Parse()
	p.attack, p.open = min(*most, time.Minute), a.open
	switch {
	case *as == "burn":
		burn(p.attack)
		return json.NewEncoder(os.Stdout).Encode(totals{})
	case *as != "":
		return victim(*as, *name, *join, p.callTimeout)
	case *table || *cost:
		return p.run(strings.Split(*only, ","), *table)
	}
	if err := a.aim(*addr); err != nil {
		return err
	}
	t := a.spend(p.attack)
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(t)
	}
	fmt.Printf("%s from %d: %.0f connections/s, %.0f packets/s, %d failed\n", a.mode, a.sources,
		t.perSecond(t.Connections), t.perSecond(t.Packets), t.Failed)
	return nil
}

// run measures.
func (p plan) run(only []string, table bool) (err error) {
	if p.program, err = os.Executable(); err != nil {
		return err
	}
	if p.victim == "" {
		p.victim = p.program
	}
	if !table {
		return p.costs(os.Stdout, slices.DeleteFunc(only, func(m string) bool { return !slices.Contains(modes, m) })) // controls cost nothing
	}
	good, err := p.table(os.Stdout, only)
	if err == nil && !good {
		err = fmt.Errorf("a bound does not hold")
	}
	return err
}

// spend attacks for so long.
func (a *attack) spend(most time.Duration) totals {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	began := time.Now()
	a.run(ctx)
	failed := a.failed.Load()
	return totals{max(0, a.connections.Load()-failed), a.packets.Load(), failed, time.Since(began).Seconds()}
}

// burn uses two cores.
func burn(most time.Duration) {
	var wg sync.WaitGroup
	end := time.Now().Add(most)
	for range 2 {
		wg.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	wg.Wait()
}
