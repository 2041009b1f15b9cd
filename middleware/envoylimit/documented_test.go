package envoylimit_test

import (
	"fmt"
	"testing"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

// documented are the kinds of configuration that the documentation of Envoy's own service shows, in
// the words of a policy file, with windows that do not end while the test runs: for each the descriptors of requests, in order, and what comes of them.
var documented = []struct {
	name, file string
	asks       []expect
}{
	{"messages to a number", `
domains:
  - domain: mongo_cps
    descriptors:
      - key: database
        value: users
        rule: {name: users, rate: 5/52w}
      - key: database
        value: default
        rule: {name: default, rate: 3/52w}
`, []expect{
		{ask: "database=users", times: 5, code: ok},
		{ask: "database=users", times: 2, code: over},
		{ask: "database=default", times: 3, code: ok},
		{ask: "database=default", times: 1, code: over},
		{ask: "database=other", times: 9, code: ok},
	}},
	{"a budget for each value, and one that has none", `
domains:
  - domain: messaging
    descriptors:
      - key: message_type
        value: marketing
        descriptors:
          - key: to_number
            rule: {name: marketing to a number, rate: 2/52w}
      - key: to_number
        rule: {name: to a number, rate: 4/52w}
`, []expect{
		{ask: "message_type=marketing, to_number=2061111111", times: 2, code: ok},
		{ask: "message_type=marketing, to_number=2061111111", times: 1, code: over},
		{ask: "message_type=marketing, to_number=2062222222", times: 2, code: ok},
		{ask: "message_type=transactional, to_number=2061111111", times: 9, code: ok},
		{ask: "to_number=2061111111", times: 4, code: ok},
		{ask: "to_number=2061111111", times: 1, code: over},
	}},
	{"an address that is let through less", `
domains:
  - domain: edge_proxy_per_ip
    descriptors:
      - key: remote_address
        rule: {name: address, rate: 10/52w}
      - key: remote_address
        value: 50.0.0.5
        rule: {name: one address, rate: 0/52w}
`, []expect{
		{ask: "remote_address=50.0.0.5", times: 3, code: over},
		{ask: "remote_address=50.0.0.6", times: 10, code: ok},
		{ask: "remote_address=50.0.0.6", times: 1, code: over},
	}},
	{"the depth counts", `
domains:
  - domain: example3
    descriptors:
      - key: key
        value: value
        rule: {name: value, rate: 3/52w}
        descriptors:
          - key: subkey
            rule: {name: below, rate: 1/52w}
`, []expect{
		{ask: "key=value", times: 3, code: ok},
		{ask: "key=value", times: 1, code: over},
		{ask: "key=value, subkey=a", times: 1, code: ok},
		{ask: "key=value, subkey=a", times: 1, code: over},
		{ask: "key=value, subkey=b", times: 1, code: ok},
		{ask: "key=value, other=a", times: 5, code: ok},
		{ask: "key=value, subkey=a, deeper=b", times: 5, code: ok},
	}},
	{"values that begin alike", `
domains:
  - domain: example7
    descriptors:
      - key: path
        value: /foo*
        rule: {name: foo, rate: 2/52w}
      - key: path
        value: /foo/bar
        rule: {name: bar, rate: 1/52w}
`, []expect{
		{ask: "path=/foo", times: 2, code: ok},
		{ask: "path=/foo/x", times: 2, code: ok},
		{ask: "path=/foo/x", times: 1, code: over},
		{ask: "path=/foo/bar", times: 1, code: ok},
		{ask: "path=/foo/bar", times: 1, code: over},
		{ask: "path=/", times: 5, code: ok},
	}},
	{"shadow mode and no limit", `
domains:
  - domain: example8
    descriptors:
      - key: key
        value: shadow
        rule: {name: shadow, rate: 1/52w, shadow: true}
      - key: key
        value: free
        unlimited: true
      - key: key
        rule: {name: others, rate: 1/52w}
`, []expect{
		{ask: "key=shadow", times: 5, code: ok},
		{ask: "key=free", times: 5, code: ok},
		{ask: "key=x", times: 1, code: ok},
		{ask: "key=x", times: 1, code: over},
	}},
}

// expect is a request that is made so many times, and what each comes to.
type expect struct {
	ask   string
	times int
	code  rls.RateLimitResponse_Code
}

func TestDocumented(t *testing.T) {
	run := func(t *testing.T, clients func(t *testing.T, file string) []rls.RateLimitServiceClient) {
		for _, d := range documented {
			t.Run(d.name, func(t *testing.T) {
				all, turn := clients(t, d.file), 0
				domain := parse(t, d.file).Domains[0].Name
				for _, e := range d.asks {
					for i := range e.times {
						a := ask(t, all[turn%len(all)], request(domain, e.ask))
						turn++
						what := fmt.Sprintf("%s, the %d. time", e.ask, i+1)
						assert.Equal(t, e.code, a.GetOverallCode(), what)
						assert.Equal(t, e.code, a.GetStatuses()[0].GetCode(), what)
					}
				}
			})
		}
	}
	t.Run("local", func(t *testing.T) {
		run(t, func(t *testing.T, file string) []rls.RateLimitServiceClient {
			return []rls.RateLimitServiceClient{service(t, limiter.NewLocal(limiter.Config{}), file)}
		})
	})
	if testing.Short() {
		t.Skip("three nodes start")
	}
	t.Run("three nodes", func(t *testing.T) {
		limiters := nodes.Three(t)
		run(t, func(t *testing.T, file string) (all []rls.RateLimitServiceClient) {
			for _, l := range limiters(t) {
				all = append(all, service(t, l, file))
			}
			return all
		})
	})
}
