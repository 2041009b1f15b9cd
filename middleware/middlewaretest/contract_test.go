package middlewaretest_test

import (
	"testing"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
)

func TestContract(t *testing.T) {
	middlewaretest.Contract(t, "local", func(*testing.T) []middleware.Limiter {
		return []middleware.Limiter{limiter.NewLocal(limiter.Config{})}
	})
	middlewaretest.Contract(t, "three nodes that share", func(*testing.T) []middleware.Limiter {
		l := limiter.NewLocal(limiter.Config{})
		return []middleware.Limiter{l, l, l}
	})
}
