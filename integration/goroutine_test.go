package integration

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

// Nodes of this process join, leave, crash and restart under load; when all have gone, so
// have all their goroutines.
func TestNoGoroutineIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nodes on loopback")
	}
	start := func(name, bind string, join ...string) *service.Server {
		s, err := service.Start(t.Context(), service.Config{HTTP: "127.0.0.1:0", Policy: service.Policy(),
			Cluster: cluster.Config{Name: name, Bind: bind, Join: join, Secret: []byte(secret), CallTimeout: calm, Logger: quiet}})
		require.NoError(t, err)
		return s
	}
	leave := func(s *service.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		assert.NoError(t, s.Leave(ctx), s.Node().Name())
	}
	before := weirGoroutines()
	require.Empty(t, before, "what other tests left")

	stable := start("stable", "")
	require.NotEmpty(t, weirGoroutines(), "a node that runs is seen")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sender := newClient(t)
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				p := &process{told: told{HTTP: stable.HTTPAddr()}}
				r, err := sender.send(ctx, p, "GET /v1/agents", fmt.Sprintf("198.18.1.%d", 1+n%100))
				if ctx.Err() == nil && assert.NoError(t, err) {
					assert.Contains(t, []int{http.StatusOK, http.StatusTooManyRequests}, r.status)
				}
			}
		})
	}
	for range 2 {
		a, b := start("a", "", stable.Node().Addr()), start("b", "", stable.Node().Addr())
		awaitWhole(t, stable.Node(), a.Node(), b.Node())
		leave(a)
		awaitWhole(t, stable.Node(), b.Node())
		b.Close()
		b = start("b", b.Node().Addr(), stable.Node().Addr()) // before the others noticed
		awaitWhole(t, stable.Node(), b.Node())
		leave(b)
	}
	cancel()
	load.Wait()
	leave(stable)
	eventually(t, func() bool { before = weirGoroutines(); return len(before) == 0 }, "goroutines are left: %s", &before)
}

// weirGoroutines are the stacks in which one of our packages, or memberlist for us, runs;
// those of tests are not among them.
func weirGoroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		ours := strings.Contains(stack, "weir-go/weir/") || strings.Contains(stack, "hashicorp/memberlist")
		if ours && !strings.Contains(stack, "weir/integration.") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
