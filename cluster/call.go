package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
)

// takeCall is a take or a give on its way through this node.
type takeCall struct {
	wire.Take

	node  *Node // that asks
	to    *peer // that is asked, since asked
	asked time.Time
	tally *tally   // of the asker
	late  *belated // where somebody was given up
	uses  uint8
}

// named keeps the window that an answer names from a caller to whom it means nothing.
func (c *takeCall) named() {
	if c.Window = c.Decision.Window; !c.Trial {
		c.Decision.Window = 0
	}
}
