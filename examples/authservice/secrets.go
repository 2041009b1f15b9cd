package main

import (
	"bytes"
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

// followSecrets has SIGHUP end nothing, from before the nodes start until stop is called, after they have
// left: it reads the secrets' file again, once the nodes are there, and gives them what is in it. A file that is
// wrong changes nothing.
func followSecrets(o options, log *slog.Logger) (follow func([]*service.Server), stop func()) {
	if o.file == "" {
		return func([]*service.Server) {}, func() {}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var wg sync.WaitGroup
	follow = func(servers []*service.Server) {
		wg.Go(func() {
			for range hup {
				if err := o.changeSecrets(servers); err != nil {
					log.Error("secrets not changed, the old ones stay", "file", o.file, "error", err)
				}
			}
		})
	}
	return follow, func() {
		signal.Stop(hup)
		close(hup)
		wg.Wait()
	}
}

// changeSecrets gives the secrets of the file to all nodes, of which each tells it in the log.
func (o options) changeSecrets(servers []*service.Server) error {
	all, err := readSecrets(o.file)
	if err != nil {
		return err
	}
	if len(o.ids) == 0 {
		if len(all) == 1 && bytes.Equal(all[0], o.secret) {
			return nil // it was for the policy
		}
		return errors.New("they change only beside one that stays: -id-secret-file")
	}
	for _, s := range servers {
		if err := s.Node().SetSecrets(all...); err != nil {
			return err
		}
	}
	return nil
}
