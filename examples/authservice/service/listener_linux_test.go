package service

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While a listener is made quiet nobody new gets in, and those who are in wait to be
// accepted: it is not over before they are.
func TestQuiesce(t *testing.T) {
	l, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	const let = 3
	for range let {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
	}
	quiet := make(chan struct{})
	go func() {
		l.quiesce(t.Context())
		close(quiet)
	}()
	for i := range let {
		select {
		case <-quiet:
			require.FailNow(t, "quiet too early", "%d of %d were accepted", i, let)
		case <-time.After(2 * handshakeMax):
		}
		c, err := l.Accept()
		require.NoError(t, err)
		c.Close()
	}
	<-quiet
	_, err = net.DialTimeout("tcp", l.Addr().String(), 300*time.Millisecond)
	require.ErrorContains(t, err, "i/o timeout", "nobody new: as if the packet was lost")
	require.NoError(t, l.Close())
	_, err = net.DialTimeout("tcp", l.Addr().String(), 20*time.Second)
	assert.ErrorContains(t, err, "refused", "and whoever comes later is told")
}
