package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// optionsVector are the settings of a client; what is absent has its default.
type optionsVector struct {
	Attempts                            int
	Total, Backoff, MaxBackoff          seconds
	Connections, ErrorOnLimit, Limit403 bool
	Pace                                string
	PaceMax                             seconds
}

// transport is a Transport with these settings.
func (o optionsVector) transport(base http.RoundTripper) *Transport {
	pace := map[string]Pace{"": PaceOff, "off": PaceOff, "fail": PaceFail, "wait": PaceWait, "spread": PaceSpread}
	return &Transport{
		Base: base, Pace: pace[o.Pace], PaceMax: o.PaceMax.duration(),
		ErrorOnLimit: o.ErrorOnLimit, Limit403: o.Limit403,
		Retry: Retry{Attempts: o.Attempts, Total: o.Total.duration(), Backoff: o.Backoff.duration(),
			MaxBackoff: o.MaxBackoff.duration(), Connections: o.Connections},
	}
}

// answerVector is one answer of a scripted server.
type answerVector struct {
	Status    int
	Headers   []line
	Body      text
	Delay     seconds // until the headers arrive
	BodyDelay seconds // and from then until the body does
	Fail      bool    // no answer: the connection breaks
}

// scripted is a server that gives one answer after the other, the last one for ever.
type scripted struct {
	answers []answerVector

	mu     sync.Mutex // guards all below
	sent   []time.Time
	heard  []time.Time
	bodies []string
}

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	a := s.answers[min(len(s.sent), len(s.answers)-1)]
	s.sent = append(s.sent, time.Now())
	s.mu.Unlock()
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		s.bodies = append(s.bodies, string(b))
	}
	time.Sleep(a.Delay.duration())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, time.Now())
	if a.Fail {
		return nil, errBroken
	}
	body := io.NopCloser(io.Reader(strings.NewReader(string(a.Body))))
	if a.BodyDelay > 0 {
		body = &lateBody{Reader: body, late: a.BodyDelay.duration(), closed: make(chan struct{})}
	}
	return &http.Response{StatusCode: a.Status, Header: headerAt(a.Headers, time.Now()), Body: body, ContentLength: -1}, nil
}

var errBroken = errors.New("connection reset")

// lateBody is a body whose first byte takes a while.
type lateBody struct {
	io.Reader
	late   time.Duration
	closed chan struct{}
	once   sync.Once
}

func (b *lateBody) Read(p []byte) (int, error) {
	timer := time.NewTimer(b.late)
	defer timer.Stop()
	select {
	case <-timer.C:
		b.late = 0
		return b.Reader.Read(p)
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	}
}

func (b *lateBody) Close() error { b.once.Do(func() { close(b.closed) }); return nil }

type requestVector struct {
	Method  string
	Headers []line
	Body    string
	Stream  bool    // the body can be sent once
	Cancel  seconds // when the caller gives up, 0 for never
}

type callVector struct {
	Name    string
	Options optionsVector
	Request requestVector
	Answers []answerVector
	Want    callWant
}

type callWant struct {
	Sent    [][2]float64
	Waits   [][3]any
	Outcome string
	Status  int
	Body    *string
	Took    *[2]float64
	Error   *errorWant
}

type errorWant struct {
	limitWant
	StatusCode, Attempts     int
	Code, RequestID, Message string
}

// callRuns is how often each call is made: the waits have a random part.
const callRuns = 10

func TestVectorsCalls(t *testing.T) {
	for _, c := range load(t).Calls {
		t.Run(c.Name, func(t *testing.T) {
			vectorsRun.calls.Add(1)
			for range callRuns {
				synctest.Test(t, c.run)
			}
		})
	}
}

// request makes the request of a case.
func (v requestVector) request(t *testing.T, ctx context.Context) *http.Request {
	req := request(t, ctx, v.Method, v.Body)
	for name, values := range headerAt(v.Headers, time.Now()) {
		req.Header[name] = values
	}
	if v.Stream {
		req.GetBody = nil
	}
	return req
}

func (c callVector) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.Request.Cancel > 0 {
		time.AfterFunc(c.Request.Cancel.duration(), cancel)
	}
	server := &scripted{answers: c.Answers}
	tr := c.Options.transport(server)
	var waits [][3]any
	tr.OnWait = func(wait time.Duration, why Why) { waits = append(waits, [3]any{string(why), wait.Seconds()}) }
	start := time.Now()
	resp, err := tr.RoundTrip(c.Request.request(t, ctx))
	took := time.Since(start)

	previous := start
	require.Len(t, server.sent, len(c.Want.Sent), "sent")
	for i, want := range c.Want.Sent {
		between(t, want, server.sent[i].Sub(previous).Seconds(), "sending %d", i)
		previous = server.heard[i]
	}
	require.Len(t, waits, len(c.Want.Waits), "waits")
	for i, want := range c.Want.Waits {
		require.Equal(t, want[0], waits[i][0], "why")
		between(t, [2]float64{want[1].(float64), want[2].(float64)}, waits[i][1].(float64), "wait %d", i)
	}
	if c.Want.Took != nil {
		between(t, *c.Want.Took, took.Seconds(), "took")
	}
	for _, body := range server.bodies {
		assert.Equal(t, c.Request.Body, body, "each attempt has the whole body")
	}
	c.Want.check(t, resp, err)
	if resp != nil {
		resp.Body.Close()
	}
}

// between allows for a millisecond at the upper end, to which other languages round.
func between(t *testing.T, want [2]float64, got float64, format string, args ...any) {
	t.Helper()
	require.GreaterOrEqual(t, got, want[0]-1e-9, append([]any{format}, args...)...)
	require.LessOrEqual(t, got, want[1]+0.001, append([]any{format}, args...)...)
}

// check compares the outcome of a call.
func (w callWant) check(t *testing.T, resp *http.Response, err error) {
	t.Helper()
	limited, isLimit := errors.AsType[*RateLimitError](err)
	switch w.Outcome {
	case "answer":
		require.NoError(t, err)
		assert.Equal(t, w.Status, resp.StatusCode)
		if w.Body != nil {
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, *w.Body, string(got), "the answer is whole")
		}
	case "failed":
		assert.ErrorIs(t, err, errBroken)
	case "cancelled":
		assert.ErrorIs(t, err, context.Canceled)
	case "limited":
		require.True(t, isLimit, "%v", err)
		e := w.Error
		// The table says resetAfter only: an answer's arrival is not known to it.
		e.check(t, limited.RateLimit)
		assert.Equal(t, []any{e.StatusCode, e.Attempts, e.Code, e.RequestID, e.Message},
			[]any{limited.StatusCode, limited.Attempts, limited.Code, limited.RequestID, limited.Message})
	default:
		t.Fatalf("no outcome %q", w.Outcome)
	}
}
