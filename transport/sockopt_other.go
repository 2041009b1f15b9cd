//go:build !linux

package transport

import "net"

// setUserTimeout does nothing here: keepalive and the calls' own deadlines must do.
func setUserTimeout(*net.TCPConn) {}
