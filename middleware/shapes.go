package middleware

import "net/http"

// shapes are all sets of optional interfaces, by their number. A type has the methods of
// what it embeds, so each set needs a type of its own.
var shapes = [32]func(o *observer) http.ResponseWriter{
	func(o *observer) http.ResponseWriter { return o },
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
		}{o, flusher{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
		}{o, hijacker{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
		}{o, flusher{o}, hijacker{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			pusher
		}{o, pusher{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			pusher
		}{o, flusher{o}, pusher{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			pusher
		}{o, hijacker{o}, pusher{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			pusher
		}{o, flusher{o}, hijacker{o}, pusher{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			reader
		}{o, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			reader
		}{o, flusher{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			reader
		}{o, hijacker{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			reader
		}{o, flusher{o}, hijacker{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			pusher
			reader
		}{o, pusher{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			pusher
			reader
		}{o, flusher{o}, pusher{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			pusher
			reader
		}{o, hijacker{o}, pusher{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			pusher
			reader
		}{o, flusher{o}, hijacker{o}, pusher{o}, reader{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			notifier
		}{o, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			notifier
		}{o, flusher{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			notifier
		}{o, hijacker{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			notifier
		}{o, flusher{o}, hijacker{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			pusher
			notifier
		}{o, pusher{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			pusher
			notifier
		}{o, flusher{o}, pusher{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			pusher
			notifier
		}{o, hijacker{o}, pusher{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			pusher
			notifier
		}{o, flusher{o}, hijacker{o}, pusher{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			reader
			notifier
		}{o, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			reader
			notifier
		}{o, flusher{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			reader
			notifier
		}{o, hijacker{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			reader
			notifier
		}{o, flusher{o}, hijacker{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			pusher
			reader
			notifier
		}{o, pusher{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			pusher
			reader
			notifier
		}{o, flusher{o}, pusher{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			hijacker
			pusher
			reader
			notifier
		}{o, hijacker{o}, pusher{o}, reader{o}, notifier{o}}
	},
	func(o *observer) http.ResponseWriter {
		return struct {
			*observer
			flusher
			hijacker
			pusher
			reader
			notifier
		}{o, flusher{o}, hijacker{o}, pusher{o}, reader{o}, notifier{o}}
	},
}
