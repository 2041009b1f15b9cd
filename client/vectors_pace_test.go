package client

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type paceVector struct {
	Name     string
	Options  optionsVector
	Server   *windowVector  // either a server with a budget,
	Answers  []answerVector // or one with a script
	Requests []struct {
		At    seconds
		Count int
		Route string
	}
	Want paceWant
}

type paceWant struct {
	Sent    []bounds
	Refused *int
	Held    [][2]float64 // when requests failed unsent, and the wait they were told
}

// bounds is a time, or two between which it must be.
type bounds [2]float64

func (b *bounds) UnmarshalJSON(raw []byte) error {
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		*b = bounds{one, one}
		return nil
	}
	return json.Unmarshal(raw, (*[2]float64)(b))
}

// windowVector is a server with a fixed window, the first of which begins with the
// case, and seconds left in its headers.
type windowVector struct {
	Quota, Used     int64
	Window, Latency seconds // latency: there, and the same back

	mu      sync.Mutex // guards Used and all below
	start   time.Time
	refused int
	sent    []time.Time
}

func (w *windowVector) RoundTrip(*http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, time.Now())
	w.mu.Unlock()
	time.Sleep(w.Latency.duration())
	defer time.Sleep(w.Latency.duration())
	w.mu.Lock()
	defer w.mu.Unlock()
	for time.Since(w.start) >= w.Window.duration() {
		w.start, w.Used = w.start.Add(w.Window.duration()), 0
	}
	left := time.Until(w.start.Add(w.Window.duration()))
	reset := strconv.FormatFloat(math.Ceil(left.Seconds()*1000)/1000, 'f', 3, 64)
	whole := strconv.FormatInt(int64((left+time.Second-1)/time.Second), 10)
	status, wait := 200, []string{}
	if w.Used < w.Quota {
		w.Used++
	} else {
		w.refused++
		status, wait = 429, []string{"Retry-After", whole}
	}
	return respond(status, "", append(wait, "X-RateLimit-Limit", strconv.FormatInt(w.Quota, 10),
		"X-RateLimit-Remaining", strconv.FormatInt(w.Quota-w.Used, 10), "X-RateLimit-Reset", reset)...), nil
}

func TestVectorsPace(t *testing.T) {
	for _, c := range load(t).Pace {
		t.Run(c.Name, func(t *testing.T) {
			vectorsRun.pace.Add(1)
			synctest.Test(t, c.run)
		})
	}
}

func (c paceVector) run(t *testing.T) {
	start := time.Now()
	script := &scripted{answers: c.Answers}
	tr := c.Options.transport(script)
	if c.Server != nil {
		c.Server.start = start
		tr.Base = c.Server
	}
	tr.Route = func(r *http.Request) string { return r.Header.Get("Route") }
	var mu sync.Mutex // guards held
	var held [][2]float64
	var wg sync.WaitGroup
	for _, r := range c.Requests {
		time.Sleep(time.Until(start.Add(r.At.duration())))
		for range r.Count {
			wg.Go(func() {
				req := request(t, t.Context(), "GET", "")
				req.Header.Set("Route", r.Route)
				_, err := tr.RoundTrip(req)
				if limited, ok := errors.AsType[*RateLimitError](err); ok {
					mu.Lock()
					defer mu.Unlock()
					assert.Zero(t, limited.StatusCode)
					assert.Zero(t, limited.Attempts)
					held = append(held, [2]float64{time.Since(start).Seconds(), limited.RetryAfter.Seconds()})
				}
			})
		}
		synctest.Wait() // so that equal times keep their order
	}
	wg.Wait()

	sent := script.sent
	if c.Server != nil {
		sent = c.Server.sent
		require.NotNil(t, c.Want.Refused)
		assert.Equal(t, *c.Want.Refused, c.Server.refused, "refused")
	}
	slices.SortFunc(sent, time.Time.Compare)
	require.Len(t, sent, len(c.Want.Sent), "sent")
	for i, want := range c.Want.Sent {
		between(t, want, sent[i].Sub(start).Seconds(), "sending %d", i)
	}
	require.Len(t, held, len(c.Want.Held), "held")
	for i, want := range c.Want.Held {
		assert.InDeltaSlice(t, want[:], held[i][:], 0.001, "held %d", i)
	}
}
