package status_test

import (
	"testing"

	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/middleware"
)

// What an event costs: of a key that is counted already, and of keys that push each other out.
func BenchmarkOnDecision(b *testing.B) {
	for name, keys := range map[string]uint64{"few": 16, "many": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			p := status.Handler(newFake(), status.Config{})
			defer p.Close()
			e, n := middleware.Event{Rule: "default", Cost: 1}, uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				n = n*6364136223846793005 + 1442695040888963407
				e.KeyID = n >> 33 % keys
				p.OnDecision(e)
			}
		})
	}
}
