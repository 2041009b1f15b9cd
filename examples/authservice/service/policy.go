package service

import (
	"slices"
	"strings"

	"github.com/weir-go/weir/middleware"
)

const (
	healthPath = "/health"
	livePath   = "/health/live"
)

// Policy is the contract's reference policy, and one choice of this service: what probes ask
// is exempt as well.
func Policy() middleware.Policy { return WithHealth(middleware.ReferencePolicy()) }

// WithHealth exempts GET /health and /health/live: whoever watches a node must not be told 429
// because it watches often. A policy with a route for such a path has made its own choice, and
// stays as it is.
func WithHealth(p middleware.Policy) middleware.Policy {
	for _, path := range []string{healthPath, livePath} {
		if !slices.ContainsFunc(p.Routes, func(r middleware.Route) bool {
			return slices.ContainsFunc(r.Patterns, func(pattern string) bool { return isPath(pattern, path) })
		}) {
			p.Routes = append(slices.Clip(p.Routes), middleware.Exempt("GET "+path))
		}
	}
	return p
}

// isPath says whether a pattern, "[METHOD ][HOST]/[PATH]", names a path, on whichever host and
// for whichever method.
func isPath(pattern, path string) bool {
	slash := strings.IndexByte(pattern, '/')
	return slash >= 0 && pattern[slash:] == path
}
