// Package quorum has the rules by which a majority of voters keeps one budget whole,
// whoever decides: also in the instant of a cut, in a cut that goes one way, and while
// processes stop, crash and start anew. It is pure: no clock, no socket, no goroutine.
//
// Who wants to decide for a partition claims it, under a [Ballot] higher than any that it
// has seen. A voter grants that if it has granted none higher, and hands the claimer all
// slots of the partition that it holds before it says so. With the grants of a majority
// the claimer decides. It counts a take in its own slot, and answers when a majority has
// acknowledged that slot under its ballot; who has granted a higher one refuses. Two
// majorities share a voter. So a claim that succeeds knows every take that was answered
// before, and after it no earlier claimer's take is acknowledged by a majority: to have
// two that believe they decide is harmless, and no rule depends on time.
//
// A voter that starts has forgotten what it granted and acknowledged. It votes again when
// a majority of the others has told it what they hold ([Recovery]). A vote of the process
// before it may still be on its way, though, to somebody who would count it beside votes
// of those that have helped the new process already, and have forgotten nothing since. So
// each vote says of whom the voter has helped which process ([Vote.Lives]), and a vote of
// a process that another vote knows to be replaced does not count ([Count]).
//
// If a majority of the voters starts anew before any has recovered, nobody can know what
// they had acknowledged, and they begin with what the others hold. Short of that the
// quota holds. A cluster's first start is such a case.
//
// Two majorities of lists that differ by one name share a voter as well; those of lists
// that differ by more may not, and such processes refuse each other ([List.Meets]). It is
// the operator's to change a list by one name at a time, and to have every process run
// with it before the next change.
package quorum
