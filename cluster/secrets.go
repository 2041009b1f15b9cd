package cluster

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"slices"
)

// How a cluster's secret changes while it runs.

const secretsMax = 4 // a rotation needs two

// secrets are what the node proves, first, and accepts; none is a node that trusts loopback.
func (c Config) secrets() []Secret {
	if len(c.Secrets) == 0 && len(c.Secret) > 0 {
		return []Secret{c.Secret}
	}
	return c.Secrets
}

// idSecret is what ids of keys are made from.
func (c Config) idSecret() Secret {
	if len(c.IDSecret) > 0 {
		return c.IDSecret
	}
	return c.Secret
}

// checkSecrets says what is wrong with the three fields, without a byte of them.
func (c Config) checkSecrets() error {
	switch {
	case len(c.Secret) > 0 && len(c.Secrets) > 0:
		return fmt.Errorf("cluster: %w: Secret and Secrets are both set: use one of the two", ErrConfig)
	case len(c.Secrets) > 0 && len(c.IDSecret) == 0:
		return fmt.Errorf("cluster: %w: Secrets need an IDSecret, which stays when they change; for a cluster that has had one Secret, that one", ErrConfig)
	}
	if err := checkAll("Secrets", c.Secrets); err != nil {
		return err
	}
	if why := c.Secret.check(); why != "" {
		return fmt.Errorf("cluster: %w: Secret of %d bytes %s", ErrConfig, len(c.Secret), why)
	}
	if why := c.IDSecret.check(); why != "" {
		return fmt.Errorf("cluster: %w: IDSecret of %d bytes %s", ErrConfig, len(c.IDSecret), why)
	}
	return nil
}

// checkAll is check for several, none of which may be empty.
func checkAll(field string, secrets []Secret) error {
	if len(secrets) > secretsMax {
		return fmt.Errorf("cluster: %w: %s are %d, more than %d", ErrConfig, field, len(secrets), secretsMax)
	}
	for i, s := range secrets {
		why := s.check()
		if len(s) == 0 {
			why = "is empty: " + secretHelp
		} else if slices.ContainsFunc(secrets[:i], func(x Secret) bool { return bytes.Equal(x, s) }) {
			why = "is there twice"
		}
		if why != "" {
			return fmt.Errorf("cluster: %w: %s: number %d of %d bytes %s", ErrConfig, field, i+1, len(s), why)
		}
	}
	return nil
}

// bytesOf are secrets as other packages take them.
func bytesOf(secrets []Secret) (all [][]byte) {
	for _, s := range secrets {
		all = append(all, s)
	}
	return all
}

// callKeys are the secrets of the transport.
func callKeys(secrets []Secret) (keys [][]byte) {
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, s, nil, "weir calls v1", 32)
		if err != nil {
			panic(err) // only for a length that HKDF cannot give
		}
		keys = append(keys, key)
	}
	return keys
}

// SetSecrets replaces the secrets of a running node: it proves the first from now on, and lets in
// who proves any of them. Connections stay, and so do budgets: those that were made with another
// secret prove the first one again, and those made with a secret that is not among these end. So
// a cluster changes its secret in three steps, each on all nodes before the next:
//
//	node.SetSecrets(old, new) // all know the new one
//	node.SetSecrets(new, old) // all use it
//	node.SetSecrets(new)      // the old one opens nothing any more
//
// A node that has another list than these, or that skips a step, may be shut out until it has the
// same one as the others. The node needs an IDSecret, and must have had a secret from the start.
// An error wraps ErrConfig, or is ErrClosed; then nothing has changed. It returns at once, and may
// be called at any time, by several at once: one after the other.
func (n *Node) SetSecrets(secrets ...Secret) error {
	switch {
	case n.keyring == nil:
		return fmt.Errorf("cluster: %w: the node was started without a secret", ErrConfig)
	case len(n.cfg.IDSecret) == 0:
		return fmt.Errorf("cluster: %w: the node was started without an IDSecret: its keys would have other ids after a restart", ErrConfig)
	case len(secrets) == 0:
		return fmt.Errorf("cluster: %w: SetSecrets without a secret", ErrConfig)
	}
	if err := checkAll("SetSecrets", secrets); err != nil {
		return err
	}
	n.secretsMu.Lock()
	defer n.secretsMu.Unlock()
	if n.closed.Load() {
		return ErrClosed
	}
	n.port.SetSecrets(bytesOf(secrets))
	n.keyring.Set(callKeys(secrets)...)
	n.server.Renew()
	n.renewPeers()
	n.log.Info("the secrets have changed", "accepted", len(secrets))
	return nil
}

// renewPeers has the connections to peers follow the secrets.
func (n *Node) renewPeers() {
	for _, p := range n.view.Load().all {
		p.calls.Renew()
	}
}
