package quorum

// Ballot is what a process claims a partition under. No two claims have the same.
type Ballot struct {
	Number uint64
	By     uint64 // the process
}

// Less orders ballots.
func (b Ballot) Less(o Ballot) bool {
	return b.Number < o.Number || b.Number == o.Number && b.By < o.By
}

// Above is the lowest ballot of a process above b.
func (b Ballot) Above(by uint64) Ballot { return Ballot{b.Number + 1, by} }

// Promise is what a voter has promised for one partition: to acknowledge nothing under a
// lower ballot. The zero value has promised nothing.
type Promise struct{ Highest Ballot }

// Grant is for a claim under b. Where it is granted, the claimer must have what this voter
// holds before it hears so.
func (p *Promise) Grant(b Ballot) (ok bool) {
	if !p.Highest.Less(b) {
		return false
	}
	p.Highest = b
	return true
}

// Accept is for a slot that was counted under b, which may be one that this voter has not
// granted: a majority has.
func (p *Promise) Accept(b Ballot) (ok bool) {
	if b.Less(p.Highest) {
		return false
	}
	p.Highest = b
	return true
}

// Lives is, for each voter by its place in the list, the last of its processes that was
// helped to recover. Of two processes of a voter the later one has the larger number.
type Lives [VotersMax]uint64

// Vote is a voter's grant or acknowledgement.
type Vote struct {
	Voter int    // by its place in the list
	Life  uint64 // its process, never 0
	Lives Lives  // whom it had helped when it voted, or later
}

// Count is the votes for one claim, or for one slot. The zero value has none.
type Count struct{ life, replaced Lives }

// Add adds a vote.
func (c *Count) Add(v Vote) {
	c.life[v.Voter] = max(c.life[v.Voter], v.Life)
	for i, life := range v.Lives {
		c.replaced[i] = max(c.replaced[i], life)
	}
}

// Votes is how many votes count: not those of a process that another vote knows to be
// replaced, and that may have forgotten.
func (c *Count) Votes() (n int) {
	for i, life := range c.life {
		if life != 0 && life >= c.replaced[i] {
			n++
		}
	}
	return n
}
