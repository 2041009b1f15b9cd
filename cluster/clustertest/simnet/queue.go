package simnet

// queue is first in, first out. It reuses its array, and moves what is left to the
// front only when at least half has been taken, so a push costs constant time on
// average however long the queue is.
type queue[T any] struct {
	buf  []T
	head int
}

func (q *queue[T]) len() int { return len(q.buf) - q.head }

func (q *queue[T]) push(v T) {
	if len(q.buf) == cap(q.buf) && q.head > 0 && q.head >= len(q.buf)/2 {
		left := copy(q.buf, q.buf[q.head:])
		clear(q.buf[left:])
		q.buf, q.head = q.buf[:left], 0
	}
	q.buf = append(q.buf, v)
}

// first gives the oldest, to look at or to change. The queue must not be empty.
func (q *queue[T]) first() *T { return &q.buf[q.head] }

// all gives everything that waits, the oldest first, until the next push or pop.
func (q *queue[T]) all() []T { return q.buf[q.head:] }

// pop takes the oldest out. Its place is cleared, so that bytes already read are not
// kept alive by the array.
func (q *queue[T]) pop() T {
	var zero T
	v := q.buf[q.head]
	q.buf[q.head] = zero
	q.head++
	if q.head == len(q.buf) {
		q.buf, q.head = q.buf[:0], 0
	}
	return v
}

// reset drops everything, the array as well.
func (q *queue[T]) reset() { *q = queue[T]{} }
