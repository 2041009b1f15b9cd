package wire

import (
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// Explain asks what a node knows of a budget.
type Explain struct {
	ID    ledger.ID
	Limit limiter.Limit

	Held   bool // it decides
	Holder string
	Term   uint64         // the newest that it knows
	By     tenure.Process // whose that is
	Counts []Counted
	Leases []Leased
}

// Counted is what a process has counted. Its node may have no name any more.
type Counted struct {
	Node          string
	Taken, Before int64
}

// Leased is what a node was handed last.
type Leased struct {
	Node  string
	Slice int64
}

// ExplainMost is how many counts, and how many leases, one answer has at most.
const ExplainMost = 64

const (
	explainFields       = 6
	explainAnswerFields = 6
	countedFields       = 3
	leasedFields        = 2
)

// AppendRequest encodes the question.
func (c *Explain) AppendRequest(b []byte) []byte {
	b = appendID(transport.AppendArrayLen(b, explainFields), c.ID)
	return appendLimit(b, &c.Limit, 0)
}

// ReadRequest decodes the question.
func (c *Explain) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.ID = readID(&r)
	c.Limit, _ = readLimit(&r)
	if err := finish(&r, n, explainFields); err != nil {
		return err
	}
	return limiter.Check("id", c.Limit, 0)
}

// AppendAnswer encodes the answer.
func (c *Explain) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, explainAnswerFields)
	b = transport.AppendUint(b, bit(c.Held))
	b = transport.AppendString(b, c.Holder)
	b = transport.AppendUint(transport.AppendUint(b, c.Term), uint64(c.By))
	b = transport.AppendArrayLen(b, len(c.Counts))
	for _, x := range c.Counts {
		b = transport.AppendString(transport.AppendArrayLen(b, countedFields), x.Node)
		b = transport.AppendInt(transport.AppendInt(b, x.Taken), x.Before)
	}
	b = transport.AppendArrayLen(b, len(c.Leases))
	for _, x := range c.Leases {
		b = transport.AppendString(transport.AppendArrayLen(b, leasedFields), x.Node)
		b = transport.AppendInt(b, x.Slice)
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Explain) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Held, c.Holder = r.Uint() == 1, r.String()
	c.Term, c.By = r.Uint(), tenure.Process(r.Uint())
	for range r.ArrayLen(ExplainMost) {
		k := r.ArrayLen(fieldsMax)
		c.Counts = append(c.Counts, Counted{Node: r.String(), Taken: r.Int(), Before: r.Int()})
		if err := skip(&r, k, countedFields); err != nil {
			return err
		}
	}
	for range r.ArrayLen(ExplainMost) {
		k := r.ArrayLen(fieldsMax)
		c.Leases = append(c.Leases, Leased{Node: r.String(), Slice: r.Int()})
		if err := skip(&r, k, leasedFields); err != nil {
			return err
		}
	}
	return finish(&r, n, explainAnswerFields)
}
