// Command plans shows limits that depend on the caller's plan, and rules that are stacked.
//
// It guards a handler by three rules, sends requests to it in this process, prints which
// rule admitted how much, and exits 0 only if every budget held exactly. A request must
// pass all three: its API key's budget (100, 500 or 2000 a day, by plan), its address's,
// and the one of the whole service. A request that one of them denies spends from none.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/weir-go/weir"
)

// day is a window that does not turn while this program runs.
const day = 24 * time.Hour

const (
	perAddress = 2100
	perService = 5000
)

// planOf is what a real service would ask its database. The plan follows from the key,
// not from a header: a client must not be able to choose it.
func planOf(r *http.Request) (string, bool) {
	plan, ok := map[string]string{"bob": "pro", "eve": "enterprise"}[r.Header.Get("X-Api-Key")]
	return plan, ok
}

// policy stacks the rules. Keys without a plan of their own are free ones.
func policy(hear func(weir.Event)) weir.Policy {
	return weir.Policy{
		Always: []weir.Rule{{Name: "service", Limit: weir.Per(perService, day), Key: weir.Shared()}},
		Default: []weir.Rule{
			{
				Name: "key", Key: weir.Header("X-Api-Key"), Absent: weir.AbsentDeny,
				Limit: weir.Per(100, day), Plan: weir.KeyFunc(planOf),
				Plans: map[string]weir.Limit{"pro": weir.Per(500, day), "enterprise": weir.Per(2000, day)},
			},
			{Name: "address", Limit: weir.Per(perAddress, day)},
		},
		OnDecision: hear,
	}
}

// demo is the guarded handler, and what the hook heard of the last request.
type demo struct {
	out     io.Writer
	handler http.Handler
	left    map[string]int64 // by rule
	denier  string           // the rule that denied last
	wrong   error
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "plans:", err)
		os.Exit(1)
	}
}

// run sends the traffic and returns what did not hold.
func run(out io.Writer) error {
	d := &demo{out: out, left: map[string]int64{}}
	m, err := weir.New(weir.NewLocal(weir.LocalConfig{}), policy(d.hear))
	if err != nil {
		return err
	}
	d.handler = m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	fmt.Fprintln(out, "Plans: each sends 2050 requests from an address of its own.")
	d.expect("free key", d.send(2050, "192.0.2.1", "ann"), 100, "key")
	d.expect("pro key", d.send(2050, "192.0.2.2", "bob"), 500, "key")
	d.expect("enterprise key", d.send(2050, "192.0.2.3", "eve"), 2000, "key")

	fmt.Fprintln(out, "\nStacked: 22 free keys behind one office's address, 100 requests each.")
	office := 0
	for i := range 22 {
		office += d.send(100, "198.51.100.1", fmt.Sprint("office", i))
	}
	d.expect("the office", office, perAddress, "address")

	fmt.Fprintln(out, "\nDenied requests spend from none: 1000 more of the spent keys.")
	before := d.left["service"]
	d.expect("spent keys", d.send(1000, "203.0.113.1", "ann"), 0, "key")
	d.expect("a new key", d.send(1, "203.0.113.1", "dan"), 1, "")
	fmt.Fprintf(out, "  the service had %d left before and has %d after, the new key's one gone\n", before, d.left["service"])
	// 4700 were admitted above, so that is what both numbers must say.
	if d.left["service"] != perService-4701 {
		d.wrong = errors.Join(d.wrong, fmt.Errorf("the service has %d left, not %d", d.left["service"], perService-4701))
	}

	fmt.Fprintln(out, "\nThe rest of the service's budget: 10 new keys, 10 new addresses.")
	rest := 0
	for i := range 10 {
		rest += d.send(100, fmt.Sprint("203.0.113.", 10+i), fmt.Sprint("late", i))
	}
	d.expect("latecomers", rest, perService-4701, "service")
	return d.wrong
}

// hear is the policy's hook.
func (d *demo) hear(e weir.Event) {
	d.left[e.Rule] = e.Decision.Remaining
	if e.Verdict == weir.Returned {
		d.left[e.Rule] += e.Cost // taken, and given back as another rule denied
	}
	if e.Verdict == weir.Denied {
		d.denier = e.Rule
	}
}

// send sends n requests and returns how many were admitted.
func (d *demo) send(n int, address, key string) (admitted int) {
	d.denier = ""
	for range n {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = address + ":40000"
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			admitted++
		}
	}
	return admitted
}

// expect prints one line of the result and notes what is not as it should be.
func (d *demo) expect(who string, admitted, want int, denier string) {
	fmt.Fprintf(d.out, "  %-15s %4d admitted, of %4d", who, admitted, want)
	if denier != "" {
		fmt.Fprintf(d.out, "; then denied by rule %q", d.denier)
	}
	fmt.Fprintln(d.out)
	if admitted != want || d.denier != denier {
		d.wrong = errors.Join(d.wrong, fmt.Errorf("%s: %d admitted, then denied by %q; want %d, then %q", who, admitted, d.denier, want, denier))
	}
}
