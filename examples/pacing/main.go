// Command pacing shows a client that paces itself.
//
// It starts a service that admits 20 requests per second and address, and sends it 200
// requests as a client without manners does, then 60 through client.Transport with
// PaceSpread: that one reads the limit headers, holds back what would be denied, and
// spreads the rest over the window. It exits 0 only if the first client was denied
// and the second one never was.
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
	"time"

	"github.com/weir-go/weir"
	"github.com/weir-go/weir/client"
)

const (
	quota   = 20
	hasty   = 200 // requests of the client without manners
	patient = 60  // requests of the other one
	workers = 8
	span    = 500 * time.Millisecond // a line of the chart
	waitMax = 30 * time.Second       // longer than any sound run takes
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pacing:", err)
		os.Exit(1)
	}
}

// run sends both kinds of traffic and returns what was not as it should be.
func run(out io.Writer) error {
	fmt.Fprintf(out, "A service admits %d requests per second.\n\n", quota)
	first, err := start()
	if err != nil {
		return err
	}
	defer first.Close()
	if err := first.send(&http.Client{Timeout: waitMax}, hasty); err != nil {
		return err
	}
	first.print(out, "without pacing")

	second, err := start() // a service of its own, so that no budget is spent already
	if err != nil {
		return err
	}
	defer second.Close()
	paced := client.New(&client.Transport{Pace: client.PaceSpread, Retry: client.Retry{Total: waitMax}})
	if err := second.send(&paced.Client, patient); err != nil {
		return err
	}
	second.print(out, "with pacing")
	fmt.Fprintln(out, "last seen:", paced.LastRateLimit())
	return verdict(len(first.served), first.denied, len(second.served), second.denied)
}

// verdict is what the program exits by.
func verdict(hastyServed, hastyDenied, patientServed, patientDenied int) error {
	switch {
	case hastyDenied == 0 || hastyServed+hastyDenied != hasty:
		return fmt.Errorf("without pacing %d of %d were denied: nothing is shown", hastyDenied, hasty)
	case patientDenied != 0 || patientServed != patient:
		return fmt.Errorf("with pacing %d of %d were served, and %d denied", patientServed, patient, patientDenied)
	}
	return nil
}

// service is a guarded handler, and what became of its requests by its own account: a
// client that tries again hides its denials.
type service struct {
	*httptest.Server
	began  time.Time
	mu     sync.Mutex // guards all below
	served []time.Duration
	denied int
}

// start starts a service.
func start() (*service, error) {
	s := &service{began: time.Now()}
	m, err := weir.New(weir.NewLocal(weir.LocalConfig{}), weir.Policy{
		Default:    []weir.Rule{{Name: "default", Limit: weir.Per(quota, time.Second)}},
		OnDecision: s.count,
	})
	if err != nil {
		return nil, err
	}
	s.Server = httptest.NewServer(m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	return s, nil
}

// count is the policy's hook.
func (s *service) count(e weir.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Verdict == weir.Denied {
		s.denied++
	} else {
		s.served = append(s.served, time.Since(s.began))
	}
}

// send has several workers send n requests together, and waits for all answers.
func (s *service) send(c *http.Client, n int64) error {
	var left atomic.Int64
	left.Store(n)
	failed := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 && failed[i] == nil {
				var resp *http.Response
				if resp, failed[i] = c.Get(s.URL); failed[i] == nil {
					resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// print tells what was served, with one bar for each span of time.
func (s *service) print(out io.Writer, how string) {
	took := time.Since(s.began)
	fmt.Fprintf(out, "%s: %d served, %d denied, in %.1f s\n", how, len(s.served), s.denied, took.Seconds())
	for from := time.Duration(0); from < took; from += span {
		bar := ""
		for _, at := range s.served {
			if from <= at && at < from+span {
				bar += "#"
			}
		}
		fmt.Fprintf(out, "  %4.1f s %s\n", from.Seconds(), bar)
	}
	fmt.Fprintln(out)
}
