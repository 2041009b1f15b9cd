package ginlimit

import (
	"bufio"
	"net"
	"net/http"
)

// WriteHeaderNow begins the response.
func (w *writer) WriteHeaderNow() {
	w.restore()
	w.ResponseWriter.WriteHeaderNow()
}

// Write begins the response if need be.
func (w *writer) Write(b []byte) (int, error) {
	w.restore()
	return w.ResponseWriter.Write(b)
}

// WriteString saves the copy where gin can.
func (w *writer) WriteString(s string) (int, error) {
	w.restore()
	return w.ResponseWriter.WriteString(s)
}

// Flush begins the response if need be.
func (w *writer) Flush() {
	w.restore()
	w.ResponseWriter.Flush()
}

// Hijack notes that the response is written by hand.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.Hijack()
	w.hijacked = w.hijacked || err == nil
	return conn, rw, err
}

// Unwrap lets [http.ResponseController] reach the rest, such as deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
