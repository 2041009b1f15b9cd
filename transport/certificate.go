package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
)

// ErrCertificate: one side does not accept the other's certificate, or has none to show.
var ErrCertificate = errors.New("transport: certificates")

// withCertificates makes TLS verify both sides by the user's CA. Names are not TLS's affair:
// peers are dialled by address, and say who they are in the hello, which Config.Identify
// compares. What the user has set beside the CAs, the certificates and the time stays out.
func withCertificates(cfg *Config, listener bool) *tls.Config {
	from := cfg.TLS
	c := baseTLS()
	c.Time, c.KeyLogWriter = from.Time, from.KeyLogWriter
	roots := from.RootCAs
	if listener && from.ClientCAs != nil || roots == nil {
		roots = from.ClientCAs
	}
	c.Certificates = from.Certificates
	if listener {
		c.GetCertificate = from.GetCertificate
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, roots
		c.InsecureSkipVerify = false
		c.VerifyConnection = from.VerifyConnection
		return c
	}
	c.GetClientCertificate = from.GetClientCertificate
	if c.GetClientCertificate == nil && from.GetCertificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return from.GetCertificate(&tls.ClientHelloInfo{SupportedVersions: []uint16{tls.VersionTLS13}})
		}
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if err := verifyListener(s.PeerCertificates, roots, c); err != nil {
			return err
		}
		if from.VerifyConnection != nil {
			return from.VerifyConnection(s)
		}
		return nil
	}
	return c
}

// verifyListener is what crypto/tls does for a client, without the name of a host.
func verifyListener(chain []*x509.Certificate, roots *x509.CertPool, c *tls.Config) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	opt := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if c.Time != nil {
		opt.CurrentTime = c.Time()
	}
	for _, cert := range chain[1:] {
		opt.Intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(opt); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// certificateError names the trouble with certificates as what it is. A connection that was lost,
// or took too long, or brought garbage, is none, nor is a refusal.
func certificateError(cfg *Config, err error) error {
	if cfg.TLS == nil || err == nil {
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	_, lost := errors.AsType[net.Error](err)
	_, garbage := errors.AsType[tls.RecordHeaderError](err)
	_, refused := errors.AsType[*RefusedError](err)
	if lost || garbage || refused || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrProof) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCertificate, err)
}

// identify compares what the other side says that it is with its certificate.
func identify(cfg *Config, l link) error {
	if cfg.TLS == nil || cfg.Identify == nil {
		return nil
	}
	conn, ok := l.conn.(*tls.Conn)
	if !ok {
		return fmt.Errorf("%w: a connection without TLS", ErrCertificate)
	}
	if err := cfg.Identify(l.body, conn.ConnectionState().PeerCertificates[0]); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
