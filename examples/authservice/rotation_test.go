package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

const (
	secretBefore = "the secret of a test cluster, before"
	secretAfter  = "the secret of a test cluster, after"
	rotating     = 5 // nodes
)

// stranger is somebody who knows a secret of the cluster's.
func stranger(t *testing.T, addr, secret string) *transport.Peer {
	t.Helper()
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "weir calls v1", 32)
	require.NoError(t, err)
	p, err := transport.NewPeer(transport.Config{Label: "weir", Secret: key}, addr, func() []byte {
		b := transport.AppendArrayLen(nil, 4)
		b = transport.AppendString(b, ring.Scheme)
		b = transport.AppendString(b, "stranger")
		b = transport.AppendString(b, "127.0.0.1:1")
		return transport.AppendUint(b, 1)
	}, nil)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// clockCall asks a node for its clock: the least that a peer can ask.
type clockCall struct{}

const kindTime = 6 // as cluster/internal/wire has it

func (clockCall) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

func (clockCall) ReadAnswer([]byte) error { return nil }

// The secret is changed by its file and SIGHUP, step by step, in five processes under clients that
// know nothing of it: no request is lost, and no count. Who has the old secret is connected until
// then, and shut out afterwards; a node that is restarted finds its budgets.
func TestRotationLosesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	file, ids := filepath.Join(dir, "secrets"), filepath.Join(dir, "ids")
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(name+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(name+".new", name))
	}
	write(ids, "the secret of ids of a test cluster\n")
	write(file, secretBefore+"\n")
	w := newTownOf(t, rotating, nil, "-drain", "0s", "-secret-file", file, "-id-secret-file", ids, "-policy", written(t, quotaOf(rollQuota)))
	late := stranger(t, w.hosts[1]+":17946", secretBefore)
	require.NoError(t, late.Call(t.Context(), time.Now().Add(patience), kindTime, clockCall{}))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var served, bad atomic.Int64
	addrs := make([]string, rotating)
	for i := range addrs {
		addrs[i] = w.http(i)
	}
	var clients sync.WaitGroup
	for i := range rollers {
		clients.Go(func() {
			c := &roller{addrs: addrs, home: i % rotating}
			defer c.hangUp()
			pace := time.NewTicker(rollerPace)
			defer pace.Stop()
			for ; ctx.Err() == nil; <-pace.C {
				status, err := c.get()
				served.Add(1)
				if status != http.StatusOK || err != nil {
					bad.Add(1)
				}
			}
		})
	}
	for step, text := range []string{secretBefore + "\n" + secretAfter, secretAfter + "\n" + secretBefore, secretAfter} {
		write(file, text+"\n")
		for _, p := range w.nodes {
			p.hangUp()
			p.awaitLog("the secrets have changed", step+1)
		}
		before := served.Load()
		w.nodes[0].await(func() bool { return served.Load() > before+500 }, "the clients go on")
	}
	cancel()
	clients.Wait()
	assert.Zero(t, bad.Load(), "of %d", served.Load())
	for i, p := range w.nodes {
		assert.Empty(t, p.logged("ERROR"))
		assert.Empty(t, p.logged("live=4 known=5"), "node%d lost sight of nobody", i+1)
		assert.Empty(t, p.logged("of a test cluster"), "a secret in the log")
	}
	assert.False(t, late.Connected(), "the old secret opens nothing")
	assert.Error(t, late.Call(t.Context(), time.Now().Add(time.Second), kindTime, clockCall{}))
	for _, host := range w.hosts {
		err := stranger(t, host+":17946", secretBefore).Call(t.Context(), time.Now().Add(patience), kindTime, clockCall{})
		assert.ErrorContains(t, err, "the secrets differ", host)
	}
	require.NoError(t, stranger(t, w.hosts[1]+":17946", secretAfter).Call(t.Context(), time.Now().Add(patience), kindTime, clockCall{}))

	w.restart(1)
	resp, err := http.Get("http://" + w.http(1) + "/v1/agents")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, fmt.Sprint(rollQuota-served.Load()-1), resp.Header.Get("X-RateLimit-Remaining"), "every request is counted, once")
	write(file, "short\n")
	w.nodes[0].hangUp()
	w.nodes[0].awaitLog("secrets not changed, the old ones stay", 1)
}

// SIGHUP ends no node: not one whose secret cannot change, nor one that starts, nor one that leaves.
func TestHangUpEndsNobody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secretBefore), 0o600))
	flags := []string{"-nodes", "1", "-http", "127.0.0.1:0", "-bind", "127.0.0.1:0", "-secret-file", file, "-drain"}
	starts := spawn(t, nil, append(flags, "0s", "-join", "127.0.0.1:1", "-expected-nodes", "2")...)
	starts.awaitLog("cannot join yet", 1)
	starts.hangUp()

	p := launchWith(t, nil, append(flags, "1s")...)
	p.hangUp()
	require.NoError(t, os.WriteFile(file, []byte(secretAfter), 0o600))
	p.await(func() bool {
		p.hangUp()
		return len(p.logged("they change only beside one that stays: -id-secret-file")) > 0
	}, "the log says why not")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.awaitLog("leaving", 1)
	p.hangUp()
	assert.Equal(t, 0, p.exit())
	assert.Equal(t, 0, starts.end())
}
