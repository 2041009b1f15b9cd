package middleware

import (
	"context"
	"net/http"
)

// decisionsKey is where a request's context has its decisions.
type decisionsKey struct{}

// FromContext is what was decided about the request that ctx belongs to: one Event per rule, as
// [Policy].OnDecision got them before the handler ran. It is nil where no rule was asked, or
// without [Policy].InContext. Who gets it must not change it.
func FromContext(ctx context.Context) []Event {
	all, _ := ctx.Value(decisionsKey{}).([]Event)
	return all
}

// withDecisions is the request with the decisions in its context.
func withDecisions(r *http.Request, all []Event) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), decisionsKey{}, all))
}
