package service

import (
	"net/http"
	"slices"
)

// crossOrigin lets scripts of other origins use the service from a browser ("*": of all).
// It stands in front of the limiter, so that a browser's preflight, which nobody asked
// for, spends nothing, and a 429 can be read like any other answer. The limit headers
// are exposed by the policy.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	everybody := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		h.Add("Vary", "Origin") // also on answers to others, or a cache would mix them up
		if origin == "" || !everybody && !slices.Contains(origins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		// Not with credentials: API keys travel in a header that the script sets itself.
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
		h.Set("Access-Control-Max-Age", "600")
		h.Add("Vary", "Access-Control-Request-Headers")
		w.WriteHeader(http.StatusNoContent)
	})
}
