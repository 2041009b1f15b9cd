package middlewaretest_test

import (
	"testing"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

func TestContract(t *testing.T) {
	local := middlewaretest.Contract(t, "local", nodes.Local)
	middlewaretest.Contract(t, "three nodes that share", func(*testing.T) []middleware.Limiter {
		l := limiter.NewLocal(limiter.Config{})
		return []middleware.Limiter{l, l, l}
	})
	service := middlewaretest.Server(middlewaretest.Wrapped).Service
	local = append(local, middlewaretest.FiveRules(t, "five rules, local", service, nodes.Local)...)
	if testing.Short() {
		t.Skip("three nodes start")
	}
	limiters := nodes.Three(t)
	three := middlewaretest.Contract(t, "three nodes", limiters)
	three = append(three, middlewaretest.FiveRules(t, "five rules, three nodes", service, limiters)...)
	middlewaretest.Report(t, "testdata/rows.tsv", middlewaretest.Run{Over: "local", Rows: local}, middlewaretest.Run{Over: "three nodes", Rows: three})
}
