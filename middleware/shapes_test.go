package middleware_test

import "net/http"

// wrapped is a ResponseWriter of which handlers see only what stands beside it.
type wrapped struct{ http.ResponseWriter }

// writers make a writer with each set of optional interfaces, by the bits of its number.
var writers = [32]func(w wrapped, c *[]string) http.ResponseWriter{
	func(w wrapped, c *[]string) http.ResponseWriter { return w },
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
		}{w, flushes{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
		}{w, hijacks{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
		}{w, flushes{c}, hijacks{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			pushes
		}{w, pushes{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			pushes
		}{w, flushes{c}, pushes{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			pushes
		}{w, hijacks{c}, pushes{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			pushes
		}{w, flushes{c}, hijacks{c}, pushes{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			reads
		}{w, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			reads
		}{w, flushes{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			reads
		}{w, hijacks{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			reads
		}{w, flushes{c}, hijacks{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			pushes
			reads
		}{w, pushes{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			pushes
			reads
		}{w, flushes{c}, pushes{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			pushes
			reads
		}{w, hijacks{c}, pushes{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			pushes
			reads
		}{w, flushes{c}, hijacks{c}, pushes{c}, reads{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			notifies
		}{w, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			notifies
		}{w, flushes{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			notifies
		}{w, hijacks{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			notifies
		}{w, flushes{c}, hijacks{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			pushes
			notifies
		}{w, pushes{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			pushes
			notifies
		}{w, flushes{c}, pushes{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			pushes
			notifies
		}{w, hijacks{c}, pushes{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			pushes
			notifies
		}{w, flushes{c}, hijacks{c}, pushes{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			reads
			notifies
		}{w, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			reads
			notifies
		}{w, flushes{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			reads
			notifies
		}{w, hijacks{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			reads
			notifies
		}{w, flushes{c}, hijacks{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			pushes
			reads
			notifies
		}{w, pushes{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			pushes
			reads
			notifies
		}{w, flushes{c}, pushes{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			hijacks
			pushes
			reads
			notifies
		}{w, hijacks{c}, pushes{c}, reads{c}, notifies{c}}
	},
	func(w wrapped, c *[]string) http.ResponseWriter {
		return struct {
			wrapped
			flushes
			hijacks
			pushes
			reads
			notifies
		}{w, flushes{c}, hijacks{c}, pushes{c}, reads{c}, notifies{c}}
	},
}
