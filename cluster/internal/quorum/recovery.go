package quorum

// Recovery is what a voter that has just started hears from the other voters. The zero
// value has heard nothing.
type Recovery struct{ helped, fresh [VotersMax]bool }

// Helped notes that a voter has told all that it holds.
func (r *Recovery) Helped(voter int) { r.helped[voter], r.fresh[voter] = true, false }

// Has says whether a voter has helped.
func (r *Recovery) Has(voter int) bool { return r.helped[voter] }

// Fresh notes that a voter has just started as well, and does not vote either.
func (r *Recovery) Fresh(voter int) {
	if !r.helped[voter] {
		r.fresh[voter] = true
	}
}

// Again begins another round of asking: who was fresh may not be any more.
func (r *Recovery) Again() { r.fresh = [VotersMax]bool{} }

// Recovered says whether the voter may vote: whatever a majority of the voters, it among
// them, has acknowledged or granted, one of those that helped it has as well.
func (r *Recovery) Recovered(l List) bool {
	helped, _ := r.heard()
	return helped >= l.Majority()
}

// Anew says whether it may vote because nobody knows better: a majority, it among them,
// has started anew and forgotten, or there is nobody left who has not been heard. All that
// can be asked must have been.
func (r *Recovery) Anew(l List) bool {
	helped, fresh := r.heard()
	return fresh+1 >= l.Majority() || helped+fresh+1 >= l.Len()
}

func (r *Recovery) heard() (helped, fresh int) {
	for i := range r.helped {
		if r.helped[i] {
			helped++
		}
		if r.fresh[i] {
			fresh++
		}
	}
	return helped, fresh
}
