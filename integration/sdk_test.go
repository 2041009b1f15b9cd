package integration

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sdk "github.com/weir-go/weir/client"
	"github.com/weir-go/weir/integration/clientlab"
)

// named is a transport that says whose calls they are, and keeps the last headers.
type named struct {
	name string

	mu   sync.Mutex // guards last
	last http.Header
}

func (n *named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Client", n.name)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		n.mu.Lock()
		n.last = resp.Header
		n.mu.Unlock()
	}
	return resp, err
}

// post asks for a token and returns the status.
func post(c *sdk.Client, url string) (int, error) {
	resp, err := c.Post(url+"/v1/token", "application/json", strings.NewReader(`{"code":"c","agentId":"a"}`))
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// startLab starts the client laboratory: three nodes, one address.
func startLab(t *testing.T, c clientlab.Config) *clientlab.Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("three nodes, and a window that has to pass")
	}
	lab, err := clientlab.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(lab.Close)
	return lab
}

// TestClientRoundTrip is one client and one budget of three nodes: 25 calls, of which 20
// pass; then a retry that waits exactly as long as it was told to.
func TestClientRoundTrip(t *testing.T) {
	lab := startLab(t, clientlab.Config{Quota: 20, Window: 8 * time.Second})
	base := &named{name: "burst"}
	c := sdk.New(&sdk.Transport{Base: base, ErrorOnLimit: true, Retry: sdk.Retry{Attempts: 1}})

	// The first call is in a window with enough time left for the others.
	passed := 0
	for passed == 0 {
		_, err := post(c, lab.URL)
		require.NoError(t, err)
		if left := c.LastRateLimit().ResetAfter; left < 4*time.Second {
			time.Sleep(left)
			continue
		}
		passed = 1
	}
	var limited *sdk.RateLimitError
	for range 24 {
		status, err := post(c, lab.URL)
		if err == nil {
			assert.Equal(t, http.StatusCreated, status)
			passed++
			continue
		}
		var ok bool
		limited, ok = errors.AsType[*sdk.RateLimitError](err)
		require.True(t, ok, "%v", err)
		h := base.last
		whole := func(n int64) string { return strconv.FormatInt(n, 10) }
		assert.Equal(t, h.Get("X-RateLimit-Limit"), whole(limited.Limit))
		assert.Equal(t, h.Get("X-RateLimit-Remaining"), whole(limited.Remaining))
		assert.Equal(t, h.Get("X-RateLimit-Reset"), whole(limited.Reset.Unix()))
		assert.Equal(t, h.Get("Retry-After"), whole(int64(limited.RetryAfter/time.Second)))
		assert.Equal(t, h.Get("X-Request-Id"), limited.RequestID)
		assert.Equal(t, sdk.CodeExceeded, limited.Code)
		assert.Equal(t, http.StatusTooManyRequests, limited.StatusCode)
	}
	require.Equal(t, 20, passed, "of 25")

	var told []time.Duration
	c = sdk.New(&sdk.Transport{Base: &named{name: "patient"}, OnWait: func(wait time.Duration, why sdk.Why) {
		assert.Equal(t, sdk.WhyRetryAfter, why)
		told = append(told, wait)
	}})
	status, err := post(c, lab.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusCreated, status)
	checkPatient(t, lab, told)
}

// checkPatient looks from the server: no call came earlier than it had asked for.
func checkPatient(t *testing.T, lab *clientlab.Lab, told []time.Duration) {
	t.Helper()
	var calls []clientlab.Call
	for _, c := range lab.Calls() {
		if c.Client == "patient" {
			calls = append(calls, c)
		}
	}
	require.Len(t, calls, 2, "refused, and then passed")
	require.Len(t, told, 1)
	asked := time.Duration(calls[0].RetryAfter) * time.Second
	waited := calls[1].At - calls[0].Answered
	assert.GreaterOrEqual(t, waited, asked)
	assert.GreaterOrEqual(t, told[0], asked)
	assert.Less(t, told[0], asked+sdk.DefaultBackoff, "and a small random part")
	t.Logf("25 calls: 20 passed; asked to wait %v, waited %v by the server's clock, then passed", asked, waited)
}

var paced = flag.Duration("weir.paced", 0, "let 64 pacing clients share one budget with this window, for two whole windows")

// TestPacedClients prints what 64 clients that share one budget are refused, and how much
// of it they use. It runs for as long as it is told to.
func TestPacedClients(t *testing.T) {
	if *paced == 0 {
		t.Skip("takes minutes: -weir.paced=1m")
	}
	for _, quota := range []int64{1000, 6400} {
		t.Run(fmt.Sprint(quota), func(t *testing.T) {
			t.Parallel() // each mostly waits
			pacedClients(t, quota)
		})
	}
}

func pacedClients(t *testing.T, quota int64) {
	const clients = 64
	lab := startLab(t, clientlab.Config{Quota: quota, Window: *paced})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := sdk.New(&sdk.Transport{Base: &named{name: fmt.Sprint(i)}, Pace: sdk.PaceSpread, Retry: sdk.Retry{Total: time.Hour}})
			for len(lab.Windows()) < 4 { // the first is cut short by the start, the last by the end
				if _, err := post(c, lab.URL); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, w := range lab.Windows()[1:3] {
		t.Logf("go, %d clients, %d per %v, window %d: used %.1f %%, refused %d, %.3f per client",
			clients, quota, *paced, i, 100*float64(w.Admitted)/float64(quota), w.Refused, float64(w.Refused)/clients)
	}
}
