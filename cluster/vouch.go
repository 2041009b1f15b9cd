package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
)

// Copies of a third process's counts. Of two copies the higher version wins, so one that its origin
// never made would hide for ever what that one counts. Copies are taken at once, for who decides
// must know them; but an origin that lives is asked up to which version it has counted, once in a
// while, and what is beyond that is forgotten again and asked for anew. Of who is gone all copies
// are as good as each other.

// hearsay is copies of a peer's slots that others have sent and it has not vouched for.
type hearsay struct {
	asked atomic.Bool // it is being asked

	mu    sync.Mutex // guards what follows
	list  []copied
	again []ledger.ID               // what it is to send again
	tops  [ledger.Partitions]uint64 // up to which it has
}

// copied is such a slot.
type copied struct {
	id      ledger.ID
	version uint64
	by      string // who sent it
}

const hearsayMost = 1 << 14 // of one peer: more is refused until some is settled

// doubtCopy notes a copy that is to be vouched for. It returns false if there are too many.
func (n *Node) doubtCopy(s *ledger.Slot, from *session) bool {
	if s.Origin == from.Origin {
		return true
	}
	p := n.view.Load().byProcess[tenure.Process(s.Origin)]
	if p == nil || p.down.Load() {
		return true
	}
	h := p.hearsay.Load()
	if h == nil {
		p.hearsay.CompareAndSwap(nil, new(hearsay))
		h = p.hearsay.Load()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case s.Version <= h.tops[s.ID.Partition()]:
		return true
	case len(h.list) >= hearsayMost:
		return false
	}
	h.list = append(h.list, copied{s.ID, s.Version, from.Name})
	if len(h.list) == 1 {
		n.kick(n.flush)
	}
	return true
}

// askVouchers asks those of whom there are copies that they have not vouched for. Only the loop calls it.
func (n *Node) askVouchers(v *view) {
	for _, p := range v.all {
		if h := p.hearsay.Load(); h != nil {
			n.askVoucher(p, h)
		}
	}
}

// askVoucher asks one, and has it send some slots again; but one question at a time.
func (n *Node) askVoucher(p *peer, h *hearsay) {
	if h.asked.Swap(true) {
		return
	}
	c, seen := &wire.Vouch{}, map[int]bool{}
	h.mu.Lock()
	k := 0
	for ; k < len(h.list); k++ {
		part := h.list[k].id.Partition()
		if !seen[part] && len(c.Parts) == wire.VouchMost {
			break
		}
		if !seen[part] {
			seen[part], c.Parts = true, append(c.Parts, part)
		}
	}
	list := h.list[:k:k]
	h.list, c.IDs, h.again = h.list[k:], h.again, nil
	h.mu.Unlock()
	if k == 0 && len(c.IDs) == 0 {
		h.asked.Store(false)
		return
	}
	err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindVouch, c, func(err error) { n.vouched(p, h, c, list, err) })
	if err != nil { // not connected yet
		h.mu.Lock()
		h.list, h.again = append(list, h.list...), c.IDs
		h.mu.Unlock()
		h.asked.Store(false)
	}
}

// vouched acts on what a peer says of some copies of its slots. Where it does not answer, or is of a
// version that is not asked that, they are as good as those of who is gone.
func (n *Node) vouched(p *peer, h *hearsay, c *wire.Vouch, list []copied, err error) {
	top := map[int]uint64{}
	h.mu.Lock()
	for i, part := range c.Parts {
		if err == nil {
			h.tops[part] = max(h.tops[part], c.Tops[i])
		}
		top[part] = h.tops[part]
	}
	h.mu.Unlock()
	for _, x := range list {
		if err != nil || x.version <= top[x.id.Partition()] || !n.ledger.Drop(x.id, p.origin, x.version) {
			continue
		}
		n.refuse(&n.refused.slots, "counts", x.by)
		h.mu.Lock()
		if len(h.again) < wire.VouchMost {
			h.again = append(h.again, x.id)
		}
		h.mu.Unlock()
	}
	h.asked.Store(false)
	n.askVoucher(p, h)
}

// serveVouch says up to which versions this node has counted, and sends again what is asked for.
func (n *Node) serveVouch(body, buf []byte) ([]byte, error) {
	c := &wire.Vouch{}
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	for _, part := range c.Parts {
		c.Tops = append(c.Tops, n.ledger.Top(part))
	}
	for _, id := range c.IDs {
		n.ledger.Due(id, n.origin, allRanks)
	}
	if len(c.IDs) > 0 {
		n.kick(n.flush)
	}
	return c.AppendAnswer(buf), nil
}
