package grpclimit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
	"github.com/weir-go/weir/middleware/middlewaretest"
)

// handlers are the methods of a server, by full name. They get the stream, if it is one.
type handlers map[string]func(ctx context.Context, ss grpc.ServerStream) error

// describe makes services of handlers, as generated code would; a method named Talk is a stream.
func (h handlers) describe() (all []*grpc.ServiceDesc) {
	services := map[string]*grpc.ServiceDesc{}
	for full, f := range h {
		service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
		d := services[service]
		if d == nil {
			d = &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
			services[service], all = d, append(all, d)
		}
		if method == "Talk" {
			d.Streams = append(d.Streams, grpc.StreamDesc{
				StreamName: method, ServerStreams: true, ClientStreams: true,
				Handler: func(_ any, ss grpc.ServerStream) error { return f(ss.Context(), ss) },
			})
			continue
		}
		d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: method, Handler: func(srv any, ctx context.Context, dec func(any) error, ic grpc.UnaryServerInterceptor) (any, error) {
			in := new(emptypb.Empty)
			if err := dec(in); err != nil {
				return nil, err
			}
			next := func(ctx context.Context, _ any) (any, error) { return new(emptypb.Empty), f(ctx, nil) }
			if ic == nil {
				return next(ctx, in)
			}
			return ic(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, next)
		}})
	}
	return all
}

// serve runs a server on loopback and returns a connection to it.
func serve(t testing.TB, guard *grpclimit.Server, h handlers, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options := []grpc.ServerOption{grpc.ChainUnaryInterceptor(recovered)}
	if guard != nil {
		options = append(options, grpc.ChainUnaryInterceptor(guard.Unary), grpc.ChainStreamInterceptor(guard.Stream))
	}
	server := grpc.NewServer(options...)
	for _, d := range h.describe() {
		server.RegisterService(d, nil)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// recovered is the outer interceptor that most services have.
func recovered(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "panic")
		}
	}()
	return next(ctx, req)
}

// call makes one unary call.
func call(ctx context.Context, conn *grpc.ClientConn, method string) (header, trailer metadata.MD, err error) {
	err = conn.Invoke(ctx, method, new(emptypb.Empty), new(emptypb.Empty), grpc.Header(&header), grpc.Trailer(&trailer))
	return header, trailer, err
}

// service is the five rules' service as gRPC.
func service(t *testing.T, m *middleware.Middleware, procedures []middlewaretest.Procedure) middlewaretest.Call {
	h := handlers{}
	for _, p := range procedures {
		h[p.Path] = func(context.Context, grpc.ServerStream) error {
			if p.Fails {
				return status.Error(codes.Unauthenticated, "wrong password")
			}
			return nil
		}
	}
	conn := serve(t, grpclimit.New(m, grpclimit.Options{}), h)
	return func(t *testing.T, path string, send map[string]string) middlewaretest.Reply {
		header, trailer, err := call(metadata.NewOutgoingContext(t.Context(), metadata.New(send)), conn, path)
		return reply(t, header, trailer, err)
	}
}

// statuses are what the codes of an answer stand for.
var statuses = map[codes.Code]int{
	codes.OK: 200, codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.Unavailable: 503,
}

// reply is an answer in the words of HTTP. Where it says when to come back, it says it thrice.
func reply(t *testing.T, header, trailer metadata.MD, err error) middlewaretest.Reply {
	first := func(md metadata.MD, name string) string { return strings.Join(md.Get(name), ", ") }
	if err != nil && len(header.Get("x-ratelimit-limit")) == 0 {
		header = trailer // of a refusal
	}
	known, ok := statuses[status.Code(err)]
	require.True(t, ok, "%v", err)
	r := middlewaretest.Reply{Status: known, Limit: first(header, "x-ratelimit-limit"), Remaining: first(header, "x-ratelimit-remaining")}
	if wait, ok := grpclimit.RetryAfter(err); ok {
		r.RetryAfter = int64(wait.Seconds())
		require.Equal(t, strconv.FormatInt(r.RetryAfter*1000, 10), first(trailer, "grpc-retry-pushback-ms"))
		require.Equal(t, strconv.FormatInt(r.RetryAfter, 10), first(header, "retry-after"))
	} else {
		require.NotEqual(t, http.StatusTooManyRequests, r.Status, "it says when to come back")
	}
	return r
}

// talk sends n messages on a stream, one after the other's echo, and returns how many came back.
func talk(ctx context.Context, conn *grpc.ClientConn, n int) (came int, trailer metadata.MD, err error) {
	ss, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/weir.test.Shop/Talk")
	if err != nil {
		return 0, nil, err
	}
	for range n {
		if err = ss.SendMsg(new(emptypb.Empty)); err == nil || errors.Is(err, io.EOF) {
			err = ss.RecvMsg(new(emptypb.Empty))
		}
		if err != nil {
			return came, ss.Trailer(), err
		}
		came++
	}
	_ = ss.CloseSend()
	if err = ss.RecvMsg(new(emptypb.Empty)); errors.Is(err, io.EOF) {
		err = nil
	}
	return came, ss.Trailer(), err
}

// echo answers each message of a stream with one.
func echo(_ context.Context, ss grpc.ServerStream) error {
	for {
		in := new(emptypb.Empty)
		if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := ss.SendMsg(in); err != nil {
			return err
		}
	}
}
