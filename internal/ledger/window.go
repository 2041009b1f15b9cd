package ledger

// Window names the window that a Hold was counted in, for Keep and Refund. Only limiters
// make it and look into it; to all others it is a value to hand back. The zero Window is
// the current one, whichever that is. A token bucket has no windows, and needs none.
type Window int64

// NameWindow names the window of a limit that counts for an id at an instant of the
// limiter's clock. noted says that the Hold is among the [Holds] of who decided.
func NameWindow(id ID, l *Limit, now int64, noted bool) (w Window) {
	if l.Algorithm != TokenBucket {
		w = Window(windowEnd(id, int64(l.Window), now) << 1)
	}
	if noted {
		w |= 1
	}
	return w
}

// End is when the window ends, or 0 for the current one.
func (w Window) End() int64 { return int64(w >> 1) }

// Noted reports whether the Hold is among the [Holds] of who decided: it is to be kept,
// or given back.
func (w Window) Noted() bool { return w&1 != 0 }

// age is how many windows of length size ago w was, at an instant in the window that ends
// at end: 0 is that one, also where clocks differ a little. Windows of one id are whole
// lengths apart.
func (w Window) age(end, size int64) int64 {
	if w.End() == 0 || w.End() >= end {
		return 0
	}
	return (end - w.End() + size/2) / size
}
