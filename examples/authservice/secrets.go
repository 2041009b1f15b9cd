package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

// readSecrets reads a file of secrets, one a line. The error says what is wrong, after the file's
// name.
func readSecrets(file string) (all []cluster.Secret, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			all = append(all, cluster.Secret(line))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("is empty")
	}
	return all, nil
}

// prove puts the secrets into a configuration.
func (o options) prove(c *cluster.Config) {
	if len(o.ids) == 0 {
		c.Secret = o.secret
		return
	}
	c.Secrets, c.IDSecret = o.secrets, o.ids
	if len(o.secrets) == 0 {
		c.Secrets = []cluster.Secret{o.secret}
	}
}

// lasting is what other keys are derived from: they stay when the secrets change.
func (o options) lasting() []byte {
	if len(o.ids) > 0 {
		return o.ids
	}
	return o.secret
}

// followSecrets reads the secrets' file again on each SIGHUP until stop is called, and gives the
// nodes what is in it. A file that is wrong changes nothing.
func followSecrets(o options, servers []*service.Server, log *slog.Logger) (stop func()) {
	if o.file == "" || len(o.ids) == 0 {
		return func() {}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range hup {
			if err := changeSecrets(o.file, servers); err != nil {
				log.Error("secrets not changed, the old ones stay", "file", o.file, "error", err)
			}
		}
	})
	return func() {
		signal.Stop(hup)
		close(hup)
		wg.Wait()
	}
}

// changeSecrets gives the secrets of a file to all nodes, of which each tells it in the log.
func changeSecrets(file string, servers []*service.Server) error {
	all, err := readSecrets(file)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := s.Node().SetSecrets(all...); err != nil {
			return err
		}
	}
	return nil
}
