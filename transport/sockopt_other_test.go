//go:build !linux

package transport

import (
	"net"
	"testing"
)

// assertTuned skips: how options are read back differs everywhere.
func assertTuned(t *testing.T, _ *net.TCPConn) { t.Skip("checked on linux") }
