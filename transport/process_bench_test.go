package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// roleVariable makes the test binary the other process of a benchmark.
const roleVariable = "WEIR_TRANSPORT_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := beOtherProcess(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beOtherProcess serves on loopback, says where, and ends with its standard input.
func beOtherProcess(role string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serve := func(c net.Conn) { go rawEcho(c) }
	if role != "raw" {
		srv, err := NewServer(Config{Secret: []byte(strings.TrimPrefix(role, "plain"))}, echoHandler{})
		if err != nil {
			return err
		}
		serve = srv.ServeConn
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startOtherProcess returns the address that a process of the given role serves on.
func startOtherProcess(tb testing.TB, role string) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(tb, err)
	return strings.TrimSpace(addr)
}

// BenchmarkProcesses is BenchmarkCall, with the server in a process of its own.
func BenchmarkProcesses(b *testing.B) {
	b.Run("raw", func(b *testing.B) { benchmarkRaw(b, startOtherProcess(b, "raw")) })
	for _, role := range []string{"plain", "a secret for the benchmark"} {
		for _, callers := range []int{1, 64, 256} {
			name := "tls"
			if role == "plain" {
				name = role
			}
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				secret := strings.TrimPrefix(role, "plain")
				peer, err := NewPeer(Config{Secret: []byte(secret)}, startOtherProcess(b, role), noHello, nil)
				require.NoError(b, err)
				defer peer.Close()
				require.NoError(b, peer.Call(context.Background(), time.Now().Add(5*time.Second), 1, &echo{}))
				benchmarkCalls(b, callers, peer)
			})
		}
	}
}

// BenchmarkConnections is what several connections to one process would gain: the
// calls are spread over so many Peers.
func BenchmarkConnections(b *testing.B) {
	const secret = "a secret for the benchmark"
	addr := startOtherProcess(b, secret)
	for _, n := range []int{1, 2, 4} {
		var peers []*Peer
		for range n {
			peer, err := NewPeer(Config{Secret: []byte(secret)}, addr, noHello, nil)
			require.NoError(b, err)
			defer peer.Close()
			require.NoError(b, peer.Call(context.Background(), time.Now().Add(5*time.Second), 1, &echo{}))
			peers = append(peers, peer)
		}
		for _, callers := range []int{8, 64, 256} {
			b.Run(fmt.Sprintf("connections=%d/callers=%d", n, callers), func(b *testing.B) { benchmarkCalls(b, callers, peers...) })
		}
	}
}
