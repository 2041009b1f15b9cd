package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// The victims are processes of this program, or of an older build of it: it says on its first
// line where it is, and ends with its standard input.

const (
	secretOfVictims = "the secret of the victims of attacks"
	quota           = 20 // of each key, in a window so long that none ends while its key is asked for
)

// spot is where a victim is.
type spot struct{ HTTP, Bind string }

// victim is the life of a victim: a node that decides over HTTP, or the floor.
func victim(as, name, join string, callTimeout time.Duration) error {
	ctx := context.Background()
	at := spot{Bind: "127.0.0.1:0"}
	switch as {
	case "floor":
		l, err := net.Listen("tcp4", at.Bind)
		if err != nil {
			return err
		}
		at.Bind = l.Addr().String()
		go floor(l)
	case "node":
		cfg := cluster.Config{Name: name, Bind: at.Bind, Secret: []byte(secretOfVictims), CallTimeout: callTimeout,
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
		if join != "" {
			cfg.Join = []string{join}
		}
		n, err := cluster.Start(ctx, cfg)
		if err != nil {
			return err
		}
		defer n.Close()
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		at = spot{HTTP: l.Addr().String(), Bind: n.Addr()}
		go http.Serve(l, serve(n))
	default:
		return fmt.Errorf("there is no victim %q", as)
	}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// answer is what a victim says of one take.
type answer struct{ Allowed, Degraded bool }

// state is what it says of itself; Stats has more, and not the same in each build.
type state struct {
	Ready bool
	Stats struct{ Live, Holding, Pending, Degraded, Failovers int }
}

func serve(n *cluster.Node) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/take", func(w http.ResponseWriter, r *http.Request) {
		d, err := n.Take(r.Context(), r.URL.Query().Get("key"), limiter.Per(quota, limiter.MaxWindow), 1)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(answer{d.Allowed, d.Degraded})
	})
	mux.HandleFunc("/state", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(struct {
			Ready bool
			Stats cluster.Stats
		}{n.Ready(), n.Stats()})
	})
	return mux
}

// floor is the least that a listener can do that speaks first: what a connection costs beyond
// that is weir's.
func floor(l net.Listener) {
	greeting := make([]byte, 17)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Write(greeting)
		c.Close()
	}
}
