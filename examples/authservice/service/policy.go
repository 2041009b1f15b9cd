package service

import (
	"slices"
	"strings"

	"github.com/weir-go/weir/middleware"
)

const healthPath = "/health"

// Policy is the contract's reference policy, and one choice of this service: GET /health
// is exempt as well.
func Policy() middleware.Policy { return WithHealth(middleware.ReferencePolicy()) }

// WithHealth exempts GET /health: whoever watches a node must not be told 429 because it
// watches often. A policy with a route for that path has made its own choice, and stays
// as it is.
func WithHealth(p middleware.Policy) middleware.Policy {
	for _, r := range p.Routes {
		if slices.ContainsFunc(r.Patterns, isHealth) {
			return p
		}
	}
	p.Routes = append(slices.Clip(p.Routes), middleware.Exempt("GET "+healthPath))
	return p
}

// isHealth says whether a pattern, "[METHOD ][HOST]/[PATH]", names the path of the health
// check, on whichever host and for whichever method.
func isHealth(pattern string) bool {
	slash := strings.IndexByte(pattern, '/')
	return slash >= 0 && pattern[slash:] == healthPath
}
