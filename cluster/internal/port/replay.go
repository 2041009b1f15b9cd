package port

// senders are the numbers that each sender has used: of as many senders as there can be
// nodes, and their predecessors. Of one that is not known, because it or this process is
// new or because it was silent for long, the first number is taken as it comes.
type senders struct {
	of   map[[senderLen]byte]*window
	turn uint64
}

const (
	sendersMax = 1024
	windowLen  = 256 // numbers, by which packets may overtake each other
)

// window is which of the last numbers up to top came.
type window struct {
	top  uint32
	seen [windowLen / 64]uint64 // a ring of bits, by number
	turn uint64                 // of senders, when it was heard last
}

// first notes that a number came, and says whether it is the first time. Of what is older
// than the window, that is not known, and it is not.
func (s *senders) first(sender [senderLen]byte, number uint32) bool {
	w := s.of[sender]
	if w == nil {
		if len(s.of) >= sendersMax {
			s.forgetOne()
		}
		w = &window{}
		s.of[sender] = w
	}
	s.turn++
	w.turn = s.turn
	return w.first(number)
}

// forgetOne forgets who was silent for longest.
func (s *senders) forgetOne() {
	var oldest [senderLen]byte
	turn := s.turn + 1
	for sender, w := range s.of {
		if w.turn < turn {
			oldest, turn = sender, w.turn
		}
	}
	delete(s.of, oldest)
}

func (w *window) first(number uint32) bool {
	if number > w.top {
		if number-w.top >= windowLen {
			w.seen = [windowLen / 64]uint64{}
		} else {
			for n := w.top + 1; n <= number; n++ { // n does not wrap: a sender's last number is its last
				w.seen[n%windowLen/64] &^= 1 << (n % 64)
				if n == number {
					break
				}
			}
		}
		w.top = number
	} else if w.top-number >= windowLen {
		return false
	}
	word, bit := &w.seen[number%windowLen/64], uint64(1)<<(number%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
