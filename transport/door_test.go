package transport

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// One timer is enough for all: each stranger is closed when its own time is over, those that
// came earlier and have more as well as those that came in a crowd, and a quiet door has none.
func TestEachStrangerHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		begin := time.Now()
		var mu sync.Mutex
		lived := map[time.Duration]int{} // since the beginning
		var wg sync.WaitGroup
		come := func(n int) {
			for range n {
				a, b := memPair(64)
				l.srv.ServeConn(b)
				wg.Go(func() {
					_, err := io.Copy(io.Discard, a)
					require.NoError(t, err)
					mu.Lock()
					defer mu.Unlock()
					lived[time.Since(begin)]++
					_ = a.Close()
				})
			}
		}
		come(5)
		time.Sleep(time.Second)
		come(doorSource - 7)
		time.Sleep(doorQuick / 2)
		come(1)
		require.NoError(t, l.call(), "who proves the secret")
		wg.Wait()
		time.Sleep(time.Minute)
		require.Equal(t, map[time.Duration]int{
			doorPatient:                 5,
			time.Second + doorQuick:     doorSource - 2 - doorCrowded,
			time.Second + doorQuick*3/2: 1,
			time.Second + doorPatient:   doorCrowded - 5,
		}, lived)
		require.Equal(t, Turned{Silent: doorSource - 1}, l.srv.Turned())
		require.True(t, l.srv.door.armed.IsZero())
		require.NoError(t, l.call(), "it has its own time")
	})
}
