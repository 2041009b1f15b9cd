package policyfile_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// bench is a watched file and what came of it.
type bench struct {
	t    *testing.T
	path string
	*policyfile.Watcher

	mu      sync.Mutex
	quotas  []int64 // of the policies put in force
	reloads []error
}

// watch writes a policy of one rule and watches it, in a synctest bubble.
func watch(t *testing.T, quota int) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "policy.yaml")}
	b.write(policyOf(quota))
	o := policyfile.Options{OnReload: func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reloads = append(b.reloads, err)
	}}
	var err error
	b.Watcher, err = policyfile.Watch(b.path, o, func(p middleware.Policy) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.quotas = append(b.quotas, p.Default[0].Limit.Quota)
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func policyOf(quota int) string {
	return "default: [{name: a, quota: " + strconv.Itoa(quota) + ", window: 1s}]\n"
}

func (b *bench) write(text string) {
	require.NoError(b.t, os.WriteFile(b.path, []byte(text), 0o600))
}

// pass lets the watcher look a few times and returns what is in force.
func (b *bench) pass() (quotas []int64, reloads []error) {
	time.Sleep(3 * time.Second)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int64(nil), b.quotas...), append([]error(nil), b.reloads...)
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		quotas, reloads := b.pass()
		assert.Equal(t, []int64{1}, quotas, "an unchanged file is applied once")
		assert.Empty(t, reloads)

		b.write(policyOf(2)) // of the same size
		quotas, reloads = b.pass()
		assert.Equal(t, []int64{1, 2}, quotas)
		assert.Equal(t, []error{nil}, reloads)

		b.write("default: [{name: a, quota: -1, window: 1s}]\n")
		quotas, reloads = b.pass()
		assert.Equal(t, []int64{1, 2}, quotas, "a broken file leaves the old policy in force")
		require.Len(t, reloads, 2, "and is told once, not at every look")
		assert.ErrorIs(t, reloads[1], middleware.ErrPolicy)
		assert.ErrorContains(t, reloads[1], "default[0].quota: -1")

		b.write(policyOf(3))
		quotas, _ = b.pass()
		assert.Equal(t, []int64{1, 2, 3}, quotas)
	})
}

func TestWatchMissingAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		require.NoError(t, os.Remove(b.path))
		quotas, reloads := b.pass()
		assert.Equal(t, []int64{1}, quotas)
		require.Len(t, reloads, 1)
		assert.ErrorIs(t, reloads[0], os.ErrNotExist)

		// As most programs replace a file: written aside, then renamed.
		require.NoError(t, os.WriteFile(b.path+".new", []byte(policyOf(4)), 0o600))
		require.NoError(t, os.Rename(b.path+".new", b.path))
		quotas, _ = b.pass()
		assert.Equal(t, []int64{1, 4}, quotas)
	})
}

// Half a file can be a valid policy, with half the rules. It must not be in force, not even
// for a second.
func TestWatchWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		time.Sleep(500 * time.Millisecond) // between two looks
		for quota := range 5 {
			b.write(policyOf(10 + quota))
			time.Sleep(time.Second)
			// As time stands still for the file system, make each write visible to it.
			later := time.Now().Add(time.Duration(quota+1) * time.Hour)
			require.NoError(t, os.Chtimes(b.path, later, later))
		}
		quotas, _ := b.pass()
		assert.Equal(t, []int64{1, 14}, quotas)
	})
}

// Size and time of change cannot tell two writes within one step of the file
// system's clock apart; the content must.
func TestWatchSeesThroughEqualTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		info, err := os.Stat(b.path)
		require.NoError(t, err)
		b.write(policyOf(7))
		require.NoError(t, os.Chtimes(b.path, info.ModTime(), info.ModTime()))
		quotas, _ := b.pass()
		assert.Equal(t, []int64{1, 7}, quotas)
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		b.write(policyOf(5))
		require.NoError(t, b.Reload(), "at once")
		b.mu.Lock()
		assert.Equal(t, []int64{1, 5}, b.quotas)
		b.mu.Unlock()
		quotas, _ := b.pass()
		assert.Equal(t, []int64{1, 5}, quotas, "and not a second time")

		b.write("nonsense")
		assert.ErrorIs(t, b.Reload(), middleware.ErrPolicy)
		require.NoError(t, os.Remove(b.path))
		assert.ErrorIs(t, b.Reload(), os.ErrNotExist)
		b.Close()
		b.Close()
		assert.ErrorIs(t, b.Reload(), policyfile.ErrClosed)
	})
}

// What the file says is in force at the next request, budgets carry over, and a broken file
// changes nothing and says why.
func TestWatchDrivesAMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		write := func(rule string) {
			require.NoError(t, os.WriteFile(path, []byte("default: [{"+rule+"}]\n"), 0o600))
		}
		write("name: a, quota: 5, window: 8000h")
		m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.ReferencePolicy())
		require.NoError(t, err)
		var told []string
		w, err := policyfile.Watch(path, policyfile.Options{OnReload: func(err error) { told = append(told, fmt.Sprint(err)) }}, m.Swap)
		require.NoError(t, err)
		defer w.Close()
		h := m.Wrap(http.NotFoundHandler())
		shows := func(limit, left string) {
			t.Helper()
			r := httptest.NewRecorder()
			h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
			assert.Equal(t, limit+" "+left, r.Header().Get("X-RateLimit-Limit")+" "+r.Header().Get("X-RateLimit-Remaining"))
		}
		shows("5", "4")
		shows("5", "3")
		for _, step := range []struct{ rule, limit, left string }{
			{"name: a, quota: 50, window: 8000h", "50", "47"},
			{"name: a, quota: 2, window: 8000h", "2", "0"},
			{"name: a, quota: -1, window: 8000h", "2", "0"},
			{"name: a, quota: 50, window: 8000h", "50", "46"},
			{"name: a, quota: 50, window: 7000h", "50", "49"},
			{"name: a, quota: 50, window: 8000h, algorithm: sliding-window", "50", "49"},
		} {
			write(step.rule)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			shows(step.limit, step.left)
		}
		require.Len(t, told, 6)
		assert.Equal(t, "policyfile: "+path+":1: default[0].quota: -1 is not within 0 to 2147483647", told[2])
		assert.Equal(t, []string{"<nil>", "<nil>", "<nil>", "<nil>", "<nil>"}, append(told[:2:2], told[3:]...))
	})
}

func TestWatchRefusesABadStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	apply := func(middleware.Policy) error { return nil }
	_, err := policyfile.Watch(path, policyfile.Options{}, apply)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte("default: []"), 0o600))
	_, err = policyfile.Watch(path, policyfile.Options{}, apply)
	require.ErrorIs(t, err, middleware.ErrPolicy)

	require.NoError(t, os.WriteFile(path, []byte(policyOf(1)), 0o600))
	refused := errors.New("refused")
	_, err = policyfile.Watch(path, policyfile.Options{}, func(middleware.Policy) error { return refused })
	require.ErrorIs(t, err, refused)
}

// A file that is touched all the time is read all the same: two equal readings make a change,
// whatever its time of change does, and one reading never.
func TestWatchReadsWhatIsTouchedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, 1)
		stop := make(chan struct{})
		var toucher sync.WaitGroup
		toucher.Go(func() {
			for at := time.Now(); ; at = at.Add(time.Minute) {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
					assert.NoError(t, os.Chtimes(b.path, at, at))
				}
			}
		})
		defer toucher.Wait()
		defer close(stop)
		quotas, _ := b.pass()
		assert.Equal(t, []int64{1}, quotas)
		for _, step := range []struct {
			text string
			want []int64
		}{
			{policyOf(2), []int64{1, 2}},
			{policyOf(22), []int64{1, 2, 22}},
			{"default: [", []int64{1, 2, 22}},
			{policyOf(3), []int64{1, 2, 22, 3}},
			{policyOf(3) + "# said\n", []int64{1, 2, 22, 3, 3}},
			{policyOf(2), []int64{1, 2, 22, 3, 3, 2}},
		} {
			b.write(step.text)
			quotas, _ = b.pass()
			assert.Equal(t, step.want, quotas)
		}
		time.Sleep(500 * time.Millisecond) // between two looks
		for i := range 6 {                 // which never find the same
			b.write(policyOf(100 + i))
			time.Sleep(time.Second)
		}
		quotas, _ = b.pass()
		assert.Equal(t, []int64{1, 2, 22, 3, 3, 2, 105}, quotas)
	})
}
