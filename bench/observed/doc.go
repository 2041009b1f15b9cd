// Package observed measures what it costs to see what a node does: everything on against
// everything off, in turns, so that what else the machine does meets both alike.
//
//	go test -bench . -benchtime 200x
//
// On is metrics with a registry that is read ten times a second, the status page, OnDecision of both, and
// OnForward with a tracer; of the requests none is sampled, or where the name says so one in a hundred or all.
// The ratio is that of the medians of all turns.
package observed
