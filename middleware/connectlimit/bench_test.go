package connectlimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/connectlimit"
)

// sink is the cheapest ResponseWriter.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// What the interceptor costs above a Connect handler, beside what Wrap costs around one.
func BenchmarkAdapter(b *testing.B) {
	r := perHour("ip", limiter.MaxQuota)
	free := middleware.Policy{Default: []middleware.Rule{r}}
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), free)
	require.NoError(b, err)
	answer := func(context.Context) error { return nil }
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare handler", bare},
		{"wrap", m.Wrap(bare)},
		{"bare connect", handler(answer)},
		{"connect, an interceptor that sets three headers", handler(answer, connect.WithInterceptors(threeHeaders))},
		{"connect", handler(answer, connect.WithInterceptors(connectlimit.New(m, connectlimit.Options{})))},
		{"wrap around connect", m.Wrap(handler(answer))},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := &sink{}
			req := httptest.NewRequest("POST", list, nil)
			req.Header.Set("Content-Type", "application/proto")
			req.Body = http.NoBody
			b.ReportAllocs()
			for b.Loop() {
				w.header = make(http.Header) // as net/http does
				c.handler.ServeHTTP(w, req)
			}
		})
	}
}

// threeHeaders is what an interceptor costs that only does what any limiter must.
var threeHeaders = connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		resp, err := next(ctx, req)
		if err == nil {
			h := resp.Header()
			h["X-Ratelimit-Limit"], h["X-Ratelimit-Remaining"], h["X-Ratelimit-Reset"] = []string{"1"}, []string{"1"}, []string{"1"}
		}
		return resp, err
	}
})
