// Attack plays strangers on the port of a node, on loopback only: to see what they cost it,
// and whether it goes on. It knows no secret.
//
//	go run ./integration/attack -addr 127.0.0.1:7946 -mode silent -sources 200 -for 10s
//
// Modes: silent (connects and says nothing), onebyte (says one byte), slow (a byte now and
// then), tls (begins TLS at once), gossip-stream (pretends to be encrypted gossip), packets
// (sealed packets that nothing opens), garbage (random bytes, on connections and in packets).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var a attack
	addr := flag.String("addr", "", "address of the node, on loopback")
	flag.StringVar(&a.mode, "mode", "silent", "what to do")
	flag.IntVar(&a.sources, "sources", 1, "source addresses, 127.0.1.x; 200 at most")
	flag.IntVar(&a.open, "open", 512, "connections at a time")
	flag.DurationVar(&a.pause, "pause", 0, "how long each of them rests between two; 0: full speed")
	most := flag.Duration("for", 10*time.Second, "how long, a minute at most")
	flag.Parse()
	if err := a.aim(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(*most, time.Minute))
	defer cancel()
	began := time.Now()
	a.run(ctx)
	took := time.Since(began).Seconds()
	fmt.Printf("%s from %d: %.0f connections/s, %.0f packets/s, %d failed\n", a.mode, a.sources,
		float64(a.connections.Load())/took, float64(a.packets.Load())/took, a.failed.Load())
}
