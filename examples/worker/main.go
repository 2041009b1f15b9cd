// Command worker shows the same limiter without HTTP: a queue of e-mails to send.
//
// Each tenant may send 10 per second (a token bucket of 5). A worker takes a job,
// asks the limiter for as much as the job has recipients, and either does it or
// puts it aside for exactly RetryAfter. It exits 0 only if all jobs were done,
// no tenant was ever faster than its limit, and none had to wait for another one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/weir-go/weir"
)

// perTenant is the limit: 10 per second, of which 5 may go out at once.
var perTenant = weir.Bucket(10, time.Second, 5)

// job is one e-mail.
type job struct {
	tenant     string
	recipients int64
}

// sent is a job that was done.
type sent struct {
	job
	at time.Duration
}

const workers = 3

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run works the queue off and returns what was not as it should be.
func run(out io.Writer) error {
	jobs := make([]job, 0, 24)
	for range 20 {
		jobs = append(jobs, job{"acme", 2}) // a newsletter, ahead of all others
	}
	for _, tenant := range []string{"bolt", "cove"} {
		jobs = append(jobs, job{tenant, 1}, job{tenant, 3})
	}
	q := newQueue(jobs, weir.NewLocal(weir.LocalConfig{}))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(q.work)
	}
	wg.Wait()
	return report(out, q.done, errors.Join(q.failed...), len(jobs))
}

// queue is what the workers share. A job that has to wait waits on a timer, so that no worker
// waits with it.
type queue struct {
	limiter weir.Taker // a *weir.Node in the place of a *weir.Local: then all machines share the budgets
	jobs    chan job
	began   time.Time

	mu     sync.Mutex // guards all below
	open   int        // jobs that are not done yet
	done   []sent
	failed []error
}

func newQueue(jobs []job, l weir.Taker) *queue {
	q := &queue{limiter: l, jobs: make(chan job, len(jobs)), began: time.Now(), open: len(jobs)}
	for _, j := range jobs {
		q.jobs <- j
	}
	return q
}

// work is one worker.
func (q *queue) work() {
	for j := range q.jobs {
		key := weir.KeyOf("mail", j.tenant)
		switch d, err := q.limiter.Take(context.Background(), key, perTenant, j.recipients); {
		case err != nil:
			q.finish(j, err)
		case d.Allowed:
			q.finish(j, nil) // the e-mail is sent here
		default:
			// There is always room: the channel holds as many as there are jobs.
			time.AfterFunc(d.RetryAfter, func() { q.jobs <- j })
		}
	}
}

// finish notes that a job is over; the last one sends the workers home.
func (q *queue) finish(j job, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.failed = append(q.failed, fmt.Errorf("%s: %w", j.tenant, err))
	} else {
		q.done = append(q.done, sent{j, time.Since(q.began)})
	}
	if q.open--; q.open == 0 {
		close(q.jobs)
	}
}

// report prints when each tenant's e-mails went out, and checks them.
func report(out io.Writer, done []sent, wrong error, jobs int) error {
	if len(done) != jobs {
		wrong = errors.Join(wrong, fmt.Errorf("%d of %d jobs were done", len(done), jobs))
	}
	ends := map[string]time.Duration{}
	for _, tenant := range []string{"bolt", "cove", "acme"} {
		times, recipients := "", int64(0)
		for _, s := range done {
			if s.tenant != tenant {
				continue
			}
			times += fmt.Sprintf(" %.1f", s.at.Seconds())
			// What a bucket can have let out since the beginning, at most.
			recipients += s.recipients
			if most := perTenant.Burst + int64(s.at*time.Duration(perTenant.Quota)/perTenant.Window); recipients > most {
				wrong = errors.Join(wrong, fmt.Errorf("%s: %d recipients after %s, at most %d are allowed", tenant, recipients, s.at, most))
			}
			ends[tenant] = s.at // done is in the order of time
		}
		fmt.Fprintf(out, "%s: %2d recipients, at seconds%s\n", tenant, recipients, times)
	}
	if max(ends["bolt"], ends["cove"]) >= ends["acme"] {
		wrong = errors.Join(wrong, errors.New("a small tenant had to wait for acme"))
	}
	return wrong
}
