package grpclimit_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/grpclimit"
)

// sink is the cheapest ResponseWriter, and the cheapest stream of a gRPC server.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

func (s *sink) Method() string               { return list }
func (s *sink) SetHeader(metadata.MD) error  { return nil }
func (s *sink) SendHeader(metadata.MD) error { return nil }
func (s *sink) SetTrailer(metadata.MD) error { return nil }

// What the interceptor costs above a handler, beside what Wrap costs above one, and what both are in
// whole calls over loopback.
func BenchmarkAdapter(b *testing.B) {
	free := func() *middleware.Middleware {
		r := middleware.Rule{Name: "ip", Limit: limiter.Per(limiter.MaxQuota, time.Hour)}
		m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.Policy{Default: []middleware.Rule{r}})
		require.NoError(b, err)
		return m
	}
	b.Run("wrap", func(b *testing.B) {
		h := free().Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r, w := httptest.NewRequest("POST", list, nil), &sink{}
		b.ReportAllocs()
		for b.Loop() {
			w.header = make(http.Header) // as net/http does
			h.ServeHTTP(w, r)
		}
	})
	b.Run("interceptor", func(b *testing.B) {
		g := grpclimit.New(free(), grpclimit.Options{})
		ctx := peer.NewContext(b.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40000}})
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(":authority", "shop", "user-agent", "grpc-go", "content-type", "application/grpc"))
		ctx = grpc.NewContextWithServerTransportStream(ctx, &sink{})
		info := &grpc.UnaryServerInfo{FullMethod: list}
		next := func(context.Context, any) (any, error) { return nil, nil }
		b.ReportAllocs()
		for b.Loop() {
			_, _ = g.Unary(ctx, nil, info, next)
		}
	})
	for name, g := range map[string]*grpclimit.Server{"bare call": nil, "call": grpclimit.New(free(), grpclimit.Options{})} {
		b.Run(name, func(b *testing.B) {
			conn := serve(b, g, handlers{list: nothing})
			in, out := new(emptypb.Empty), new(emptypb.Empty)
			b.ReportAllocs()
			for b.Loop() {
				if err := conn.Invoke(b.Context(), list, in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
