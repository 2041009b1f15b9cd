package tenure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The life of a partition at one node, event by event: what it is for the partition
// afterwards, what it does, and whom it names to those that ask it to decide.
func TestSteps(t *testing.T) {
	const me, b, c = Process(1), Process(2), Process(3)
	mine, theirs := Seen{Self: me, Owner: me, Others: []Process{b, c}}, Seen{Self: me, Owner: b, Others: []Process{b, c}}
	withoutB := Seen{Self: me, Owner: me, Others: []Process{c}}
	fromB := mine
	fromB.Before = b
	late := mine
	late.Now = HandoverMax + 1
	for name, steps := range map[string][]struct {
		seen Seen
		e    Event
		is   State
		does Commands
		whom Term
	}{
		"it takes over from the owner before": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Answered, From: b, Search: 1, Answer: Answer{Word: Here, Held: Term{4, b}, Top: 4}}, Waiting, Commands{}, Term{4, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{}, Term{5, me}},
		},
		"nobody has it": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Answered, From: b, Search: 1}, Waiting, Commands{Ask: []Process{c}, Search: 1}, Term{}},
			{mine, Event{Kind: Answered, From: c, Search: 1, Answer: Answer{Top: 7}}, Holding, Commands{Hold: true, Search: 1}, Term{8, me}},
		},
		"the owner before is gone, and all others are asked": {
			{Seen{Self: me, Owner: me, Before: b, Others: []Process{c}}, Event{Kind: Table}, Waiting, Commands{Ask: []Process{c}, Search: 1}, Term{}},
			{withoutB, Event{Kind: Answered, From: c, Search: 1}, Holding, Commands{Hold: true, Gone: b, Search: 1}, Term{1, me}},
		},
		"another goes first, and gives no sign": {
			{mine, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b, c}, Search: 1}, Term{}},
			{mine, Event{Kind: Answered, From: c, Search: 1, Answer: Answer{Word: Perhaps}}, Waiting, Commands{}, Term{0, c}},
			{late, Event{Kind: Passed}, Holding, Commands{Hold: true, Late: true}, Term{1, me}},
		},
		"it hands over, and the answer is lost": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
			{theirs, Event{Kind: Table}, Draining, Commands{}, Term{5, me}},
			{theirs, Event{Kind: Ceding}, Ceded, Commands{Send: Term{6, b}}, Term{0, b}},
			{theirs, Event{Kind: Claimed, From: c}, Ceded, Commands{Answer: Answer{Word: Here, Held: Term{5, me}, Known: Term{5, me}, Top: 6}}, Term{0, b}},
			{theirs, Event{Kind: Failed, Term: Term{6, b}}, Ceded, Commands{}, Term{0, b}},
			{theirs, Event{Kind: Passed}, Ceded, Commands{Send: Term{6, b}}, Term{0, b}},
			{theirs, Event{Kind: Acknowledged, Term: Term{5, b}}, Ceded, Commands{}, Term{0, b}},
			{theirs, Event{Kind: Acknowledged, Term: Term{6, b}}, Foreign, Commands{Forget: true}, Term{6, b}},
			{theirs, Event{Kind: Told, From: b, Term: Term{7, c}}, Foreign, Commands{}, Term{7, c}},
			{theirs, Event{Kind: Told, From: c, Term: Term{6, b}}, Foreign, Commands{}, Term{7, c}},
		},
		"who was to have it is gone": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
			{theirs, Event{Kind: Table}, Draining, Commands{}, Term{5, me}},
			{theirs, Event{Kind: Ceding}, Ceded, Commands{Send: Term{6, b}}, Term{0, b}},
			{withoutB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{c}, Search: 2}, Term{}},
			{withoutB, Event{Kind: Answered, From: c, Search: 2}, Holding, Commands{Hold: true, Gone: b, Return: true, Search: 2}, Term{7, me}},
		},
		"it doubts, and was replaced": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
			{mine, Event{Kind: Doubted}, Waiting, Commands{Drop: true, Ask: []Process{b, c}, Search: 2}, Term{}},
			{mine, Event{Kind: Claimed, From: b, Term: Term{4, b}}, Waiting, Commands{Answer: Answer{Word: Perhaps, Held: Term{5, me}, Known: Term{5, me}, Top: 5}}, Term{}},
			{mine, Event{Kind: Answered, From: b, Search: 2, Answer: Answer{Word: Here, Held: Term{6, b}, Known: Term{6, b}, Top: 6}}, Waiting, Commands{}, Term{6, b}},
			{theirs, Event{Kind: Table}, Foreign, Commands{}, Term{6, b}},
		},
		"who does not hold it hands it over": {
			{theirs, Event{Kind: Completed, From: c, Term: Term{9, me}}, Waiting, Commands{Refused: true, Ask: []Process{b}, Search: 1}, Term{0, b}},
			{theirs, Event{Kind: Claimed, From: c}, Waiting, Commands{Answer: Answer{Top: 9}}, Term{0, b}},
			{theirs, Event{Kind: Answered, From: b, Search: 1, Answer: Answer{Word: Here, Held: Term{4, b}, Top: 4}}, Foreign, Commands{}, Term{4, b}},
			{theirs, Event{Kind: Completed, From: c, Term: Term{9, me}}, Waiting, Commands{Refused: true, Ask: []Process{b}, Search: 2}, Term{4, b}},
		},
		"who has it hands it over before that is known": {
			{theirs, Event{Kind: Completed, From: c, Term: Term{9, me}}, Waiting, Commands{Refused: true, Ask: []Process{b}, Search: 1}, Term{0, b}},
			{theirs, Event{Kind: Answered, From: b, Search: 1, Answer: Answer{Word: Elsewhere, Known: Term{8, c}, Top: 8}}, Waiting, Commands{Ask: []Process{c}, Search: 1}, Term{8, c}},
			{theirs, Event{Kind: Completed, From: c, Term: Term{9, me}}, Draining, Commands{Hold: true}, Term{9, me}},
		},
		"who holds it is not found": {
			{theirs, Event{Kind: Completed, From: c, Term: Term{9, me}}, Waiting, Commands{Refused: true, Ask: []Process{b}, Search: 1}, Term{0, b}},
			{theirs, Event{Kind: Answered, From: b, Search: 1}, Waiting, Commands{Ask: []Process{c}, Search: 1}, Term{}},
			{theirs, Event{Kind: Answered, From: c, Search: 1}, Foreign, Commands{Search: 1}, Term{0, b}},
		},
		"numbers that nobody can have come to": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Told, From: c, Term: Term{MaxNumber, c}}, Waiting, Commands{}, Term{0, b}},
			{mine, Event{Kind: Claimed, From: c, Top: MaxNumber}, Waiting, Commands{Answer: Answer{Word: Perhaps}}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{MaxNumber, me}}, Waiting, Commands{Refused: true}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
		},
		"another node has its name": {
			{fromB, Event{Kind: Table}, Waiting, Commands{Ask: []Process{b}, Search: 1}, Term{0, b}},
			{mine, Event{Kind: Completed, From: b, Term: Term{5, me}}, Holding, Commands{Hold: true}, Term{5, me}},
			{mine, Event{Kind: Resigned}, Foreign, Commands{Drop: true}, Term{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Partition
			for i, x := range steps {
				x.seen.Now += time.Hour
				does := p.Step(&x.seen, x.e)
				require.Equal(t, x.does, does, "step %d", i)
				require.Equal(t, x.is.String(), p.State().String(), "step %d", i)
				if x.is.Decides() {
					require.Equal(t, x.whom, p.own, "step %d", i)
				} else {
					require.Equal(t, x.whom, p.Whom(&x.seen), "step %d", i)
				}
			}
		})
	}
}
