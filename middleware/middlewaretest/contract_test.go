package middlewaretest_test

import (
	"testing"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

func TestContract(t *testing.T) {
	middlewaretest.Contract(t, "local", nodes.Local)
	middlewaretest.Contract(t, "three nodes that share", func(*testing.T) []middleware.Limiter {
		l := limiter.NewLocal(limiter.Config{})
		return []middleware.Limiter{l, l, l}
	})
}

func TestFiveRules(t *testing.T) {
	service := middlewaretest.Server(middlewaretest.Wrapped).Service
	middlewaretest.FiveRules(t, "local", service, nodes.Local)
	middlewaretest.FiveRules(t, "three nodes", service, nodes.Three(t))
}
