package envoylimit_test

import (
	"net"
	"strings"
	"testing"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/envoylimit"
	"github.com/weir-go/weir/middleware/policyfile"
)

// parse is the policy of a file.
func parse(t testing.TB, text string) middleware.Policy {
	t.Helper()
	p, err := policyfile.Parse([]byte(text), policyfile.Options{})
	require.NoError(t, err)
	return p
}

// serve is a client of a service on loopback.
func serve(t testing.TB, s rls.RateLimitServiceServer) rls.RateLimitServiceClient {
	t.Helper()
	server := grpc.NewServer()
	rls.RegisterRateLimitServiceServer(server, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return rls.NewRateLimitServiceClient(conn)
}

// service is a client of a limiter with the policy of a file.
func service(t testing.TB, l middleware.Limiter, text string) rls.RateLimitServiceClient {
	t.Helper()
	m, err := middleware.New(l, parse(t, text))
	require.NoError(t, err)
	return serve(t, envoylimit.New(m))
}

// descriptor is one written as "key=value, key=value".
func descriptor(text string) *common.RateLimitDescriptor {
	d := &common.RateLimitDescriptor{}
	for e := range strings.SplitSeq(text, ", ") {
		key, value, _ := strings.Cut(e, "=")
		d.Entries = append(d.Entries, &common.RateLimitDescriptor_Entry{Key: key, Value: value})
	}
	return d
}

// request asks about descriptors of a domain.
func request(domain string, descriptors ...string) *rls.RateLimitRequest {
	r := &rls.RateLimitRequest{Domain: domain}
	for _, text := range descriptors {
		r.Descriptors = append(r.Descriptors, descriptor(text))
	}
	return r
}

// ask makes one call that is answered.
func ask(t testing.TB, c rls.RateLimitServiceClient, r *rls.RateLimitRequest) *rls.RateLimitResponse {
	t.Helper()
	a, err := c.ShouldRateLimit(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, a.GetStatuses(), len(r.GetDescriptors()))
	return a
}

const (
	ok   = rls.RateLimitResponse_OK
	over = rls.RateLimitResponse_OVER_LIMIT
)

// header is a response header of an answer.
func header(a *rls.RateLimitResponse, name string) string {
	for _, h := range a.GetResponseHeadersToAdd() {
		if h.GetKey() == name {
			return h.GetValue()
		}
	}
	return ""
}

func newService(m *middleware.Middleware) rls.RateLimitServiceServer { return envoylimit.New(m) }
