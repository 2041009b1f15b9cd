//go:build linux

package netnslab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endEnv makes the test binary a process that makes a lab and ends badly.
const endEnv = "WEIR_NETNSLAB_END"

func TestMain(m *testing.M) {
	if how := os.Getenv(endEnv); how != "" {
		endBadly(how)
	}
	os.Exit(m.Run())
}

// requireEnv makes a machine without namespaces a failure.
const requireEnv = "WEIR_REQUIRE_NETNS"

func newLab(t *testing.T, hosts int) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	l, err := New(hosts)
	if errors.Is(err, ErrUnavailable) && os.Getenv(requireEnv) != "1" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		assert.Empty(t, left(t, l.prefix))
	})
	return l
}

// left are the namespaces whose names begin with a prefix.
func left(t *testing.T, prefix string) []string {
	t.Helper()
	names, err := filepath.Glob("/run/netns/" + prefix + "*")
	require.NoError(t, err)
	return names
}

// expect checks whether a connection can be made from one host to another, and carries a
// byte there and back.
func expect(t *testing.T, want bool, l *Lab, from, to int) {
	t.Helper()
	within := patience
	if !want {
		within = silence
	}
	assert.Equal(t, want, talk(t, l, from, to, within), "from %d to %d", from, to)
}

func talk(t *testing.T, l *Lab, from, to int, within time.Duration) bool {
	t.Helper()
	ln, err := l.Listen(to, l.IP(to)+":0")
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 1)
		if _, err := c.Read(b); err == nil {
			c.Write(b)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c, err := l.Dial(ctx, from, ln.Addr().String())
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(within))
	_, err = c.Write([]byte{1})
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

const (
	silence  = 500 * time.Millisecond // without a byte that takes a tenth of a millisecond: a cut
	patience = 10 * time.Second       // for a byte that should come
)

func TestCuts(t *testing.T) {
	l := newLab(t, 4)
	a, b := []int{1, 2}, []int{3, 4}
	for _, k := range Kinds {
		t.Run(k.String(), func(t *testing.T) {
			if err := k.Usable(); err != nil && os.Getenv(requireEnv) != "1" {
				t.Skip(err)
			}
			expect(t, true, l, 1, 3)
			require.NoError(t, l.Cut(k, a, b))
			expect(t, false, l, 1, 3)
			expect(t, false, l, 4, 2)
			expect(t, true, l, 1, 2)
			expect(t, k != Link, l, 3, 4) // side b is whole, unless each lost its link
			require.NoError(t, l.Mend(k, a, b))
			expect(t, true, l, 1, 3)
			expect(t, true, l, 4, 2)
		})
	}
}

// One way is one way: what b sends is lost, what a sends arrives.
func TestDropOneWay(t *testing.T) {
	if err := DropOneWay.Usable(); err != nil && os.Getenv(requireEnv) != "1" {
		t.Skip(err)
	}
	l := newLab(t, 2)
	listen := func(host int) (pc net.PacketConn) {
		require.NoError(t, l.inside(host, func() (err error) {
			pc, err = net.ListenPacket("udp", l.IP(host)+":0")
			return err
		}))
		t.Cleanup(func() { pc.Close() })
		return pc
	}
	one, two := listen(1), listen(2)
	require.NoError(t, l.Cut(DropOneWay, []int{1}, []int{2}))
	_, err := one.WriteTo([]byte("to b"), two.LocalAddr())
	require.NoError(t, err)
	_, _ = two.WriteTo([]byte("to a"), one.LocalAddr()) // the kernel may say that it may not
	require.NoError(t, two.SetReadDeadline(time.Now().Add(patience)))
	n, _, err := two.ReadFrom(make([]byte, 10))
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	require.NoError(t, one.SetReadDeadline(time.Now().Add(silence)))
	_, _, err = one.ReadFrom(make([]byte, 10))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestNewRefuses(t *testing.T) {
	for _, hosts := range []int{0, -1, HostsMax + 1} {
		_, err := New(hosts)
		assert.ErrorContains(t, err, fmt.Sprint(hosts))
	}
}

// endBadly is the life of a process that never comes to Close.
func endBadly(how string) {
	l, err := New(2)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	// Something runs there, and will not end by itself.
	if err := l.Command(1, "sleep", "1000").Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if how == "janitor" {
		l.janitor.Process.Kill()
	}
	p, _ := os.FindProcess(os.Getpid())
	if how == "panic" {
		panic("on purpose")
	}
	p.Kill()
	select {}
}

// However a process ends, its labs end with it.
func TestNothingIsLeftBehind(t *testing.T) {
	newLab(t, 1) // or skip
	for _, how := range []string{"panic", "kill", "janitor"} {
		t.Run(how, func(t *testing.T) {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), endEnv+"="+how)
			out, err := c.Output()
			require.Error(t, err)
			require.Empty(t, string(out))
			mine := fmt.Sprintf("%s%d-", prefix, c.Process.Pid)
			if how == "janitor" {
				require.Len(t, left(t, mine), 3, "its janitor was killed, so they are still there")
				newLab(t, 1) // sweeps
			}
			require.Eventually(t, func() bool { return len(left(t, mine)) == 0 }, patience, 20*time.Millisecond,
				"%v", left(t, mine))
		})
	}
}
