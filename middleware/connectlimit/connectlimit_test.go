package connectlimit_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/connectlimit"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

type (
	request  = connect.Request[emptypb.Empty]
	response = connect.Response[emptypb.Empty]
	duplex   = connect.BidiStream[emptypb.Empty, emptypb.Empty]
)

const (
	list = "/weir.test.Shop/List"
	talk = "/weir.test.Shop/Talk"
)

// protocols are those that one handler speaks; gRPC needs HTTP/2.
var protocols = map[string][]connect.ClientOption{
	"connect": nil, "connect by GET": {connect.WithIdempotency(connect.IdempotencyNoSideEffects), connect.WithHTTPGet()}, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
}

// serve runs handlers on loopback, with HTTP/2, and returns a client of it and its address.
func serve(t testing.TB, mux *http.ServeMux) (*http.Client, string) {
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Client(), server.URL
}

// service is the five rules' service by a protocol.
func service(options []connect.ClientOption) middlewaretest.Service {
	return func(t *testing.T, m *middleware.Middleware, procedures []middlewaretest.Procedure) middlewaretest.Call {
		mux := http.NewServeMux()
		wrong := connect.NewError(connect.CodeUnauthenticated, errors.New("wrong password"))
		for _, p := range procedures {
			mux.Handle(p.Path, connect.NewUnaryHandler(p.Path, func(context.Context, *request) (*response, error) {
				if p.Fails {
					return nil, wrong
				}
				return connect.NewResponse(&emptypb.Empty{}), nil
			}, connect.WithIdempotency(connect.IdempotencyNoSideEffects), connect.WithInterceptors(connectlimit.New(m, connectlimit.Options{}))))
		}
		client, url := serve(t, mux)
		return func(t *testing.T, path string, send map[string]string) middlewaretest.Reply {
			req := connect.NewRequest(&emptypb.Empty{})
			for k, v := range send {
				req.Header().Set(k, v)
			}
			resp, err := connect.NewClient[emptypb.Empty, emptypb.Empty](client, url+path, options...).CallUnary(t.Context(), req)
			if err == nil {
				return middlewaretest.ReplyOf(http.StatusOK, resp.Header())
			}
			return reply(t, err)
		}
	}
}

// codes are what the codes of an answer stand for.
var codes = map[connect.Code]int{
	connect.CodeUnauthenticated: 401, connect.CodePermissionDenied: 403, connect.CodeResourceExhausted: 429, connect.CodeUnavailable: 503,
}

// reply is an error in the words of HTTP. Where it says when to come back, it says it twice.
func reply(t *testing.T, err error) middlewaretest.Reply {
	var coded *connect.Error
	require.ErrorAs(t, err, &coded)
	status, ok := codes[coded.Code()]
	require.True(t, ok, "%v", err)
	r := middlewaretest.ReplyOf(status, coded.Meta())
	wait, ok := connectlimit.RetryAfter(err)
	require.Equal(t, status == 429 || status == 503, ok)
	require.Equal(t, time.Duration(r.RetryAfter)*time.Second, wait)
	return r
}

func TestFiveRules(t *testing.T) {
	var runs []middlewaretest.Run
	over := func(name string, newLimiter func(*testing.T) []middleware.Limiter) {
		for _, protocol := range slices.Sorted(maps.Keys(protocols)) {
			run := protocol + ", " + name
			runs = append(runs, middlewaretest.Run{Over: run, Rows: middlewaretest.FiveRules(t, run, service(protocols[protocol]), newLimiter)})
		}
	}
	over("local", nodes.Local)
	if testing.Short() {
		t.Skip("three nodes start")
	}
	over("three nodes", nodes.Three(t))
	middlewaretest.Report(t, "testdata/rows.tsv", runs...)
}

// perHour is a rule by address.
func perHour(name string, quota int64) middleware.Rule {
	return middleware.Rule{Name: name, Limit: limiter.Per(quota, time.Hour)}
}

// guard is an interceptor over a limiter of this process.
func guard(t testing.TB, p middleware.Policy, o connectlimit.Options) connect.HandlerOption {
	t.Helper()
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	return connect.WithInterceptors(connectlimit.New(m, o))
}

// handler answers by a function.
func handler(f func(context.Context) error, options ...connect.HandlerOption) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(list, connect.NewUnaryHandler(list, func(ctx context.Context, _ *request) (*response, error) {
		if err := f(ctx); err != nil {
			return nil, err
		}
		return connect.NewResponse(&emptypb.Empty{}), nil
	}, options...))
	return mux
}

// call makes one call.
func call(t *testing.T, client *http.Client, url string, edit func(http.Header)) (*response, error) {
	req := connect.NewRequest(&emptypb.Empty{})
	if edit != nil {
		edit(req.Header())
	}
	return connect.NewClient[emptypb.Empty, emptypb.Empty](client, url+list).CallUnary(t.Context(), req)
}

// A refusal has all that the error model has for one, under the request's own id.
func TestRefusal(t *testing.T) {
	client, url := serve(t, handler(func(context.Context) error { return nil }, guard(t, middleware.Policy{Default: []middleware.Rule{perHour("ip", 1)}}, connectlimit.Options{})))
	id := func(h http.Header) { h.Set("X-Request-Id", "id-1") }
	_, err := call(t, client, url, id)
	require.NoError(t, err)
	_, err = call(t, client, url, id)
	var coded *connect.Error
	require.ErrorAs(t, err, &coded)
	assert.Equal(t, connect.CodeResourceExhausted, coded.Code())
	assert.Equal(t, "id-1", coded.Meta().Get("X-Request-Id"))
	assert.Regexp(t, `^\d+000$`, coded.Meta().Get("Grpc-Retry-Pushback-Ms"))
	var rules, ids []string
	for _, d := range coded.Details() {
		msg, err := d.Value()
		require.NoError(t, err)
		switch msg := msg.(type) {
		case *errdetails.QuotaFailure:
			rules = append(rules, msg.GetViolations()[0].GetSubject())
		case *errdetails.RequestInfo:
			ids = append(ids, msg.GetRequestId())
		}
	}
	assert.Equal(t, []string{"rule:ip"}, rules)
	assert.Equal(t, []string{"id-1"}, ids)
}

// By outcome: what counts is what the client gets, also of errors that are not Connect's. All of them
// carry the headers, and an error that belongs to all calls is not changed.
func TestOutcome(t *testing.T) {
	shared := connect.NewError(connect.CodeNotFound, errors.New("shared"))
	shared.Meta().Set("X-Mine", "kept")
	for name, c := range map[string]struct {
		fail func(context.Context) error
		want int
		code connect.Code
	}{
		"ok":       {func(context.Context) error { return nil }, 200, 0},
		"code":     {func(context.Context) error { return shared }, 404, connect.CodeNotFound},
		"plain":    {func(context.Context) error { return errors.New("plain") }, 500, connect.CodeUnknown},
		"deadline": {func(context.Context) error { return context.DeadlineExceeded }, 504, connect.CodeDeadlineExceeded},
		"canceled": {func(context.Context) error { return context.Canceled }, 499, connect.CodeCanceled},
		"panic":    {func(context.Context) error { panic("handler") }, 500, connect.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan int, 1)
			r := perHour("ip", 5)
			r.Count = func(status int) bool { seen <- status; return true }
			recovering := connect.WithRecover(func(context.Context, connect.Spec, http.Header, any) error {
				return connect.NewError(connect.CodeInternal, errors.New("panic"))
			})
			client, url := serve(t, handler(c.fail, recovering, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, connectlimit.Options{})))
			resp, err := call(t, client, url, nil)
			assert.Equal(t, c.want, <-seen)
			if c.code == 0 {
				require.NoError(t, err)
				assert.Equal(t, "5", resp.Header().Get("X-RateLimit-Limit"))
				return
			}
			var coded *connect.Error
			require.ErrorAs(t, err, &coded)
			assert.Equal(t, c.code, coded.Code())
			if name != "panic" {
				assert.Equal(t, "5", coded.Meta().Get("X-RateLimit-Limit"))
			}
			if name == "code" {
				assert.Equal(t, "kept", coded.Meta().Get("X-Mine"))
				assert.Equal(t, "shared", coded.Message())
			}
		})
	}
	assert.Len(t, shared.Meta(), 1)
}

// chat sends n messages on a stream, one after the other's echo, and returns how many came back.
func chat(t *testing.T, client *http.Client, url string, n int) (came int, err error) {
	st := connect.NewClient[emptypb.Empty, emptypb.Empty](client, url+talk, connect.WithGRPC()).CallBidiStream(t.Context())
	defer func() { _ = st.CloseResponse() }()
	for range n {
		if err = st.Send(&emptypb.Empty{}); err == nil || errors.Is(err, io.EOF) {
			_, err = st.Receive()
		}
		if err != nil {
			return came, err
		}
		came++
	}
	_ = st.CloseRequest()
	if _, err = st.Receive(); errors.Is(err, io.EOF) {
		err = nil
	}
	return came, err
}

// echo serves a stream that answers each message with one.
func echo(t *testing.T, options ...connect.HandlerOption) (*http.Client, string) {
	mux := http.NewServeMux()
	mux.Handle(talk, connect.NewBidiStreamHandler(talk, func(_ context.Context, st *duplex) error {
		for {
			msg, err := st.Receive()
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := st.Send(msg); err != nil {
				return err
			}
		}
	}, options...))
	return serve(t, mux)
}

// A stream counts once, or by choice once per message, the first as the call itself.
func TestStreams(t *testing.T) {
	ten := middleware.Policy{Default: []middleware.Rule{perHour("ip", 10)}}
	client, url := echo(t, guard(t, ten, connectlimit.Options{}))
	for range 10 {
		came, err := chat(t, client, url, 3)
		require.NoError(t, err)
		assert.Equal(t, 3, came)
	}
	_, err := chat(t, client, url, 1)
	assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err))

	client, url = echo(t, guard(t, ten, connectlimit.Options{PerMessage: func(p string) bool { return p == talk }}))
	came, err := chat(t, client, url, 7)
	require.NoError(t, err)
	assert.Equal(t, 7, came)
	came, err = chat(t, client, url, 7)
	assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err))
	assert.Equal(t, 3, came)
	_, ok := connectlimit.RetryAfter(err)
	assert.True(t, ok)
}

// Of a stream whose messages count by outcome, those went well after which the handler went on.
func TestStreamOutcome(t *testing.T) {
	r := perHour("ip", 3)
	r.Count = middleware.CountFailures
	client, url := echo(t, guard(t, middleware.Policy{Default: []middleware.Rule{r}}, connectlimit.Options{PerMessage: func(string) bool { return true }}))
	for range 3 {
		came, err := chat(t, client, url, 10)
		require.NoError(t, err)
		assert.Equal(t, 10, came)
	}
}

// Handlers see the decisions.
func TestInside(t *testing.T) {
	p := middleware.Policy{InContext: true, Default: []middleware.Rule{perHour("ip", 50)}}
	client, url := serve(t, handler(func(ctx context.Context) error {
		assert.Len(t, middleware.FromContext(ctx), 1)
		return nil
	}, guard(t, p, connectlimit.Options{})))
	_, err := call(t, client, url, nil)
	require.NoError(t, err)
}

// The interceptor may stand among those of a client, where it has nothing to do.
func TestClientSide(t *testing.T) {
	client, url := serve(t, handler(func(context.Context) error { return nil }))
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{perHour("ip", 1)}})
	require.NoError(t, err)
	c := connect.NewClient[emptypb.Empty, emptypb.Empty](client, url+list, connect.WithInterceptors(connectlimit.New(m, connectlimit.Options{})))
	for range 3 {
		_, err := c.CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
		require.NoError(t, err)
	}
}
