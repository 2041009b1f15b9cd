// Command login shows a login limit that only failed logins use up.
//
// It guards a login by the policy file below, in this process: an address has 5 failures
// per 15 minutes, a user 50 an hour from everywhere. A login takes from both budgets
// before the password is looked at, and gets it back if it succeeds; so 40 guesses at
// once cannot pass where one after the other could not. It exits 0 only if that held.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/middleware/policyfile"
)

const policy = `
default:
  - name: everything else
    quota: 1000
    window: 1m
routes:
  - pattern: POST /login
    rules:
      - name: failures by address
        quota: 5
        window: 15m
        count: {statuses: [401, 403]}
      - name: failures by user
        quota: 50
        window: 1h
        key: {custom: user}
        absent: deny
        count: {statuses: [401, 403]}
`

const password = "correct horse battery staple"

// user is the name that a login is for, whether such a user exists or not: who tries names
// should learn nothing from the limit.
func user(r *http.Request) (string, bool) {
	name, _, ok := r.BasicAuth()
	return name, ok
}

// login stands for a real one.
func login(w http.ResponseWriter, r *http.Request) {
	if _, given, _ := r.BasicAuth(); given != password {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "login:", err)
		os.Exit(1)
	}
}

// run plays the scenes and returns what was not as it should be.
func run(out io.Writer) error {
	p, err := policyfile.Parse([]byte(policy), policyfile.Options{
		Keys: map[string]weir.Key{"user": weir.KeyFunc(user)},
	})
	if err != nil {
		return err
	}
	m, err := weir.New(weir.NewLocal(weir.LocalConfig{}), p)
	if err != nil {
		return err
	}
	d := &demo{out: out, handler: m.Wrap(http.HandlerFunc(login))}
	const office, attacker = "192.0.2.1", "198.51.100.1"

	// One after the other: in parallel even those who succeed hold a place for a moment.
	d.scene("100 logins of an office, all right", 1, 100, office, "ann", password,
		counts{ok: 100})
	d.scene("40 guesses at once from one address", 40, 40, attacker, "ann", "12345",
		counts{failed: 5, denied: 35})
	d.scene("the right password from that address", 1, 1, attacker, "ann", password,
		counts{denied: 1})
	for i := range 9 {
		d.scene("5 guesses from another address", 5, 5, fmt.Sprint("203.0.113.", i), "ann", "12345",
			counts{failed: 5})
	}
	d.scene("50 failures: no more guesses at this user", 1, 1, "203.0.113.9", "ann", "12345",
		counts{denied: 1})
	d.scene("another user of the same office", 1, 1, office, "bob", password,
		counts{ok: 1})
	return d.wrong
}

// counts are the answers of a scene.
type counts struct{ ok, failed, denied int64 }

// demo is the guarded login.
type demo struct {
	out     io.Writer
	handler http.Handler
	wrong   error
}

// scene sends n logins, so many at a time, prints what came back, and compares.
func (d *demo) scene(title string, workers, n int, address, name, secret string, want counts) {
	var ok, failed, denied, left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				switch d.login(address, name, secret) {
				case http.StatusOK:
					ok.Add(1)
				case http.StatusUnauthorized:
					failed.Add(1)
				case http.StatusTooManyRequests:
					denied.Add(1)
				}
			}
		})
	}
	wg.Wait()
	got := counts{ok.Load(), failed.Load(), denied.Load()}
	fmt.Fprintf(d.out, "%-44s %3d ok, %2d failed, %2d denied\n", title, got.ok, got.failed, got.denied)
	if got != want {
		d.wrong = errors.Join(d.wrong, fmt.Errorf("%s: %+v, want %+v", title, got, want))
	}
}

// login sends one request and returns the status.
func (d *demo) login(address, name, secret string) int {
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	r.RemoteAddr = address + ":40000"
	r.SetBasicAuth(name, secret)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Code
}
