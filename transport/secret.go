package transport

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
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

// credentials is what a secret turns into, once per peer or server.
type credentials struct {
	key []byte
	tls *tls.Config
}

// newCredentials returns nil where there is no secret. Only a listener needs a
// certificate. It authenticates nothing, the proofs do: hence it is thrown away with
// the process, has no name in it, and is not verified.
func newCredentials(secret []byte, listener bool) (*credentials, error) {
	if len(secret) == 0 {
		return nil, nil
	}
	key, err := hkdf.Key(sha256.New, secret, nil, keyInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("transport: derive key: %w", err)
	}
	c := &credentials{key: key, tls: &tls.Config{
		MinVersion:             tls.VersionTLS13,
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		// Full records from the first byte: our writes are batches, not web pages.
		DynamicRecordSizingDisabled: true,
	}}
	if listener {
		cert, err := throwAwayCertificate()
		if err != nil {
			return nil, fmt.Errorf("transport: make certificate: %w", err)
		}
		c.tls.Certificates = []tls.Certificate{cert}
	}
	return c, nil
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

// proof shows that this side knows the secret, to whoever is at the other end of this
// TLS channel and to nobody else: a relay has two channels, with two exporters.
func (c *credentials) proof(conn *tls.Conn, role string) ([]byte, error) {
	state := conn.ConnectionState()
	exporter, err := state.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return nil, fmt.Errorf("transport: export keying material: %w", err)
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(role))
	mac.Write(exporter)
	return mac.Sum(nil), nil
}
