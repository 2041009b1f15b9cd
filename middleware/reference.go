package middleware

import (
	"time"

	"github.com/weir-go/weir/limiter"
)

// ReferencePolicy is the contract's policy for an auth service: 100 requests per minute
// and client address over all routes, stricter and separate budgets where tokens are
// made, and public keys never limited.
func ReferencePolicy() Policy {
	perMinute := func(name string, quota int64) Rule {
		return Rule{Name: name, Limit: limiter.Per(quota, time.Minute)}
	}
	return Policy{
		Default: []Rule{perMinute("default", 100)},
		Routes: []Route{
			On("POST /v1/authorize", perMinute("authorize", 10)),
			On("POST /v1/token", perMinute("token", 20)),
			On("POST /v1/token/refresh", perMinute("refresh", 20)),
			Exempt("GET /.well-known/jwks.json"),
		},
	}
}
