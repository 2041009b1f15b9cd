package tenure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each rule is needed: the explorer finds what happens without it.
func TestBrokenRulesAreFound(t *testing.T) {
	const most = 60_000 // states from each beginning
	for name, c := range map[string]struct {
		broken rule
		from   string // the beginning from which it is found soon
		wrong  string
	}{
		"an older complete makes hold":          {holdsAgain, "two join", "the older"},
		"the first who knows nobody is enough":  {believesFirst, "two join", "beside"},
		"answers outlive who vanished":          {forgetsNoAnswer, "two join, a crash", "beside"},
		"what was ceded is taken back unasked":  {takesBack, "leave and crash", "beside"},
		"who begins makes no new number":        {sameNumber, "doubt and leave", "began before"},
		"who ceded says that it does not hold":  {hidesCession, "two join", "does not know"},
		"of two that ask each waits":            {waitsForEach, "doubt and leave", "does not know"},
		"a complete that is lost is not resent": {sendsOnce, "two join", "in the end"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, b := range beginnings(c.broken) {
				if b.name != c.from {
					continue
				}
				f := exploreFrom(b.w, time.Now().Add(time.Minute), most)
				require.Contains(t, f.wrong, c.wrong, "of %d states", f.states)
				t.Logf("found after %d states, %d moves: %.80s", f.states, len(f.path), f.wrong)
			}
		})
	}
}
