package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

const (
	proofLen = sha256.Size

	keyInfo       = "weir transport v1"
	exporterLabel = "weir transport proof"

	// The roles differ, so that a proof cannot be sent back to where it came from.
	roleDialer   = "weir dialer"
	roleListener = "weir listener"
)

// credentials are a process's secrets, and what TLS needs beside them.
type credentials struct {
	ring *Keyring
	tls  *tls.Config
}

// newCredentials returns nil where there is no secret. Without [Config.TLS] only a listener
// needs a certificate. It authenticates nothing, the proofs do: hence it is thrown away with
// the process, has no name in it, and is not verified.
func newCredentials(cfg *Config, listener bool) (*credentials, error) {
	if cfg.Keyring.empty() {
		return nil, nil
	}
	if cfg.TLS != nil {
		return &credentials{ring: cfg.Keyring, tls: withCertificates(cfg, listener)}, nil
	}
	c := &credentials{ring: cfg.Keyring, tls: baseTLS()}
	if listener {
		cert, err := throwAwayCertificate()
		if err != nil {
			return nil, fmt.Errorf("transport: make certificate: %w", err)
		}
		c.tls.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// baseTLS verifies no certificate.
func baseTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		// Full records from the first byte: our writes are batches, not web pages.
		DynamicRecordSizingDisabled: true,
	}
}

func throwAwayCertificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<33, 0), // nobody looks
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}

// exporterOf is what proofs are bound to: no other channel has it.
func exporterOf(conn *tls.Conn) ([]byte, error) {
	state := conn.ConnectionState()
	exporter, err := state.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return nil, fmt.Errorf("transport: export keying material: %w", err)
	}
	return exporter, nil
}
