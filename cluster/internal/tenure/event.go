package tenure

// Kind is what happened.
type Kind uint8

// The kinds of events, and which fields of an Event they have.
const (
	Table        Kind = iota // the ring changed, or who lives
	Passed                   // time
	Claimed                  // From asks who decides; it knows Term and Top, and may have held by Held
	Answered                 // From answers the claim of Search: Answer
	Unanswered               // From did not; Refused: it lives, and may say more later
	Completed                // From hands the partition over: Term begins, its slots are here
	Ceding                   // this node has stopped deciding, and sends "complete" to the owner
	Acknowledged             // the "complete" of Term has arrived
	Failed                   // the "complete" of Term may not have arrived
	Denied                   // the "complete" of Term was refused, and is never accepted
	Told                     // From does not decide, and names Term, in answer to a take
	Doubted                  // this process was stopped: others may have replaced it
	Resigned                 // another node has this one's name
)

// Event is something that happened.
type Event struct {
	Kind    Kind
	From    Process
	Term    Term
	Held    Term
	Top     uint64
	Search  uint32
	Answer  Answer
	Refused bool
	Final   bool // of Completed: From decides again, if it is refused
}

// Word is what a node says of who decides.
type Word uint8

// The words.
const (
	Nobody    Word = iota // that it knows of
	Elsewhere             // the holder of the newest term that it knows
	Perhaps               // this node: it held by a term, or is to hold, and asks the others
	Here                  // this node, or it has just sent the partition on
	WordMax   = Here
)

// Answer is the answer to a claim.
type Answer struct {
	Word  Word
	Held  Term   // by which it decides, or did: of Here and Perhaps
	Known Term   // the newest that it knows
	Top   uint64 // the largest number that it has heard of
}

// Commands is what is to be done.
type Commands struct {
	Hold   bool      // decide from now on
	Gone   Process   // with Hold: from whom it was taken, who is gone; 0 if from nobody
	Late   bool      // with Hold: although somebody lives who did not hand over, or did not answer
	Drop   bool      // decide no longer
	Ask    []Process // who decides: the claim of Search
	Search uint32
	Answer Answer // to a claim
	Send   Term   // if not zero: send "complete" to its holder, with the slots of the cession
	Forget bool   // the slots of the cession: they have arrived
	Return bool   // the slots of the cession are this node's to deliver again

	Refused bool // the "complete" is not of who holds, as far as this node knows: it is never accepted
}
