package limiter

import "context"

// upToTries is how often TakeUpTo asks at most: each time it is denied, others took what it
// had been told was left.
const upToTries = 8

// TakeUpTo takes as much as there is from the budget of key under l, most at most, and returns
// how much that was: 0 if nothing is left, and then the Decision says when something will be. It
// is for work that comes in pieces, such as a batch of which a part can go out now. Most of 0 looks.
//
// It is one question where all of it is left, and two as a rule where not. While parts of a
// budget are leased to nodes it may find less than there is. The error is the limiter's.
func TakeUpTo(ctx context.Context, t Taker, key string, l Limit, most int64) (int64, Decision, error) {
	if err := check(key, &l, min(most, l.Capacity())); err != nil {
		return 0, Decision{}, err
	}
	ask := min(most, l.Capacity())
	for try := 1; ; try++ {
		d, err := t.Take(ctx, key, l, ask)
		switch {
		case err != nil:
			return 0, Decision{}, err
		case d.Allowed:
			return ask, d, nil
		case d.Remaining <= 0 || try == upToTries:
			return 0, d, nil
		}
		ask = min(ask, d.Remaining)
	}
}
