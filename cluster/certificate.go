package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"

	"github.com/weir-go/weir/cluster/internal/wire"
)

// Certificates bind a node's name to a key of its own: the secret alone lets each of its holders
// say that it is any node.

// checkTLS says what is wrong with the field TLS, and with the node's own certificate where it can
// be had already.
func (c Config) checkTLS() error {
	t := c.TLS
	bad := func(why string) error { return fmt.Errorf("cluster: %w: TLS %s", ErrConfig, why) }
	switch {
	case t == nil:
		return nil
	case len(c.secrets()) == 0:
		return bad("needs a Secret beside it: gossip is sealed by that")
	case t.RootCAs == nil && t.ClientCAs == nil:
		return bad("has neither RootCAs nor ClientCAs: by the system's, everybody with a certificate would be let in")
	case len(t.Certificates) == 0 && t.GetCertificate == nil:
		return bad("has neither Certificates nor GetCertificate")
	}
	own, err := ownCertificate(t)
	if err != nil {
		return bad("gives no certificate: " + err.Error())
	}
	if !isFor(own, c.Name) {
		return bad(fmt.Sprintf("has a certificate of %q, and the node's Name is %q", namesOf(own), c.Name))
	}
	return nil
}

// ownCertificate is the certificate that the node would show now.
func ownCertificate(t *tls.Config) (*x509.Certificate, error) {
	var cert *tls.Certificate
	if t.GetCertificate != nil {
		var err error
		if cert, err = t.GetCertificate(&tls.ClientHelloInfo{SupportedVersions: []uint16{tls.VersionTLS13}}); err != nil {
			return nil, err
		}
	}
	if cert == nil && len(t.Certificates) > 0 {
		cert = &t.Certificates[0]
	}
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, fmt.Errorf("there is none")
	}
	return x509.ParseCertificate(cert.Certificate[0])
}

// namesOf are the names in a certificate of which one may be a node's.
func namesOf(cert *x509.Certificate) (names []string) {
	names = append(names, cert.DNSNames...)
	for _, u := range cert.URIs {
		if isSPIFFE(u) {
			names = append(names, u.String())
		}
	}
	return names
}

func isSPIFFE(u *url.URL) bool { return u.Scheme == "spiffe" && u.Host != "" }

// isFor says whether a certificate is one for a node's name. A pattern is for nobody.
func isFor(cert *x509.Certificate, name string) bool { return slices.Contains(namesOf(cert), name) }

// identify refuses who introduces itself by a name that is not in its certificate.
func identify(hello []byte, cert *x509.Certificate) error {
	h, err := wire.ReadHello(hello)
	if err != nil {
		return err
	}
	if !isFor(cert, h.Name) {
		return fmt.Errorf("a node says that it is %.*q, and its certificate is for %.256q", nameMax, h.Name, namesOf(cert))
	}
	return nil
}
