package transport

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertTuned reads the options back from the kernel.
func assertTuned(t *testing.T, tcp *net.TCPConn) {
	rc, err := tcp.SyscallConn()
	require.NoError(t, err)
	for _, o := range []struct {
		name               string
		level, option, val int
	}{
		{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 1},
		{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 1},
		{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		{"TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, tcpUserTimeout, 2000},
		{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
	} {
		var got int
		require.NoError(t, rc.Control(func(fd uintptr) {
			got, err = syscall.GetsockoptInt(int(fd), o.level, o.option)
		}))
		require.NoError(t, err, o.name)
		assert.Equal(t, o.val, got, o.name)
	}
}
