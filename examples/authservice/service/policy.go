package service

import "github.com/weir-go/weir/middleware"

// Policy is the contract's reference policy, and one choice of this service: GET /health
// is exempt as well. Whoever watches a node must not be told 429 because it watches often.
func Policy() middleware.Policy {
	p := middleware.ReferencePolicy()
	p.Routes = append(p.Routes, middleware.Exempt("GET /health"))
	return p
}
