package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/tally"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// takeCall is a take or a give on its way through this node.
type takeCall struct {
	wire.Take

	node  *Node // that asks
	to    *peer // that is asked, since asked: zero if it was not connected then
	asked time.Time
	tally *tally.Tally // of the asker
	late  *belated     // where somebody was given up
	uses  uint8
}

// named keeps the window that an answer names from a caller to whom it means nothing.
func (c *takeCall) named() {
	if c.Window = c.Decision.Window; !c.Trial {
		c.Decision.Window = 0
	}
}

// id stands for a key's budget under a plain limit.
func (n *Node) id(key string, l *limiter.Limit) ledger.ID {
	return n.hasher.ID(key, l.Window, ledger.Algorithm(l.Algorithm))
}

// KeyID stands for a key: on all nodes of the cluster the same number, from which nobody finds the key
// who does not know the cluster's secret ([Config].IDSecret, else Secret). Without a secret, which is
// possible on loopback alone, anybody can try keys.
func (n *Node) KeyID(key string) uint64 { return n.hasher.ID(key, 0, 0).Hi }

// idIn is id for what was taken in the window w, if that is not 0. An aligned limit becomes the plain
// one of its period.
func (n *Node) idIn(key string, l *limiter.Limit, w limiter.Window) (ledger.ID, error) {
	if l.Align == limiter.AlignNone {
		return n.id(key, l), nil
	}
	id, _, err := n.periodOf(key, l, w)
	return id, err
}

// window names the window of a limit in which something counts at an age of this process.
func (n *Node) window(id ledger.ID, l *limiter.Limit, age time.Duration, noted bool) limiter.Window {
	b := wire.Budget(l)
	return ledger.NameWindow(id, &b, n.clock.At(age), noted)
}
