package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"
)

// redisServer is a redis-server of our own: on loopback, without persistence, as one
// that only counts would be set up.
type redisServer struct {
	cmd  *exec.Cmd
	addr string
}

var errNoRedis = errors.New("redis-server is not installed (Debian: apt-get install redis-server)")

// startRedis starts one on a free port. It is killed when ctx ends.
func startRedis(ctx context.Context) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--maxclients", "10000")
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &redisServer{cmd: cmd, addr: addr}
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return s, c.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		break
	}
	s.close()
	return nil, fmt.Errorf("redis-server does not listen on %s", addr)
}

func (s *redisServer) close() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // says that it was killed
}
