package contend

import (
	"net/http"

	"github.com/go-chi/httprate"
)

// makeHTTPRate is go-chi/httprate asked directly, without a router and without the
// headers that it would write.
func makeHTTPRate(b Budget, _ int) (func() Take, error) {
	l := httprate.NewRateLimiter(asInt(b.Quota), b.Window, httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	return func() Take {
		r, w := &http.Request{}, discard{}
		return func(key string) (bool, error) { return !l.OnLimit(w, r, key), nil }
	}, nil
}

// discard is a response that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
