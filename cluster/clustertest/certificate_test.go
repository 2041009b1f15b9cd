package clustertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// authority is an operator's CA.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the operator"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now(), NotAfter: time.Now().Add(10000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// issue makes a certificate for a name, good for some time from now on.
func (a *authority) issue(name string, life time.Duration, usage ...x509.ExtKeyUsage) *tls.Certificate {
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now(), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usage}
	if len(usage) == 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if u, err := url.Parse(name); err == nil && u.Scheme == "spiffe" {
		template.URIs = []*url.URL{u}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// certified is a cluster whose nodes have certificates that can be replaced while they run.
type certified struct {
	*Cluster
	ca    *authority
	log   *lines
	names []string
	certs []*atomic.Pointer[tls.Certificate]
	from  *simnet.Host // where who asks is
}

func newCertified(t *testing.T, life time.Duration, names ...string) *certified {
	c := &certified{ca: newAuthority(t), log: &lines{}, names: names}
	for range names {
		c.certs = append(c.certs, &atomic.Pointer[tls.Certificate]{})
	}
	c.renew(life)
	c.Cluster = New(t, len(names), Options{Log: c.log, Config: func(i int, cfg *cluster.Config) {
		cfg.Secret, cfg.Name = newSecret, c.names[i]
		cfg.TLS = &tls.Config{RootCAs: c.ca.pool, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.certs[i].Load(), nil
		}}
	}})
	return c
}

func (c *certified) renew(life time.Duration) {
	for i, name := range c.names {
		c.certs[i].Store(c.ca.issue(name, life))
	}
}

// reconnect has nodes make their connections anew: node0 is cut off until all have noticed.
func (c *certified) reconnect() {
	c.Split([]int{0})
	time.Sleep(20 * time.Second)
	c.Heal()
}

// heard is of how many keys that it does not own a node gets decisions from others; gossip may
// take more for alive than answer.
func (c *certified) heard(i int) int {
	before := c.Node(i).Stats()
	for k := range 50 {
		_, err := c.Node(i).Take(c.ca.t.Context(), fmt.Sprint(k), limiter.Limit{Quota: 10, Window: time.Hour, Lease: limiter.LeaseOff}, 1)
		require.NoError(c.ca.t, err)
	}
	return int(c.Node(i).Stats().Forwarded - before.Forwarded)
}

// Nodes with certificates find each other and count together; a certificate that is replaced
// is in use from the next connection on, without a restart, long after the first one has run out.
func TestCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCertified(t, 5*time.Minute, "node0", "node1.weir.internal", "spiffe://example.org/weir/node2")
		l := limiter.Limit{Quota: 9, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		admitted := 0
		for i := range 30 {
			d, err := c.Node(i%3).Take(t.Context(), "key", l, 1)
			require.NoError(t, err)
			require.False(t, d.Degraded)
			if d.Allowed {
				admitted++
			}
		}
		assert.Equal(t, 9, admitted)
		c.renew(5000 * time.Hour)
		time.Sleep(6 * time.Minute)
		c.reconnect()
		c.Settle()
		assert.Zero(t, c.log.count("certificates:"))
	})
}

// A node whose certificate has run out is not let in again, and the log says why.
func TestCertificateHasRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCertified(t, 5*time.Minute, "node0", "node1", "node2")
		for i := 1; i < 3; i++ {
			c.certs[i].Store(c.ca.issue(c.names[i], 5000*time.Hour))
		}
		time.Sleep(6 * time.Minute)
		c.reconnect()
		time.Sleep(20 * time.Second)
		assert.Zero(t, c.heard(0))
		assert.NotZero(t, c.heard(1))
		assert.NotZero(t, c.log.count("expired"))
	})
}

// asking says who it is, and has what it has.
func (c *certified) asking(t *testing.T, name string, conf *tls.Config) *transport.Peer {
	key, err := hkdf.Key(sha256.New, newSecret, nil, "weir calls v1", 32)
	require.NoError(t, err)
	p, err := transport.NewPeer(transport.Config{Label: "weir", Secret: key, TLS: conf, Dial: c.from.Dial}, c.Node(0).Addr(), func() []byte {
		b := transport.AppendArrayLen(nil, 4)
		b = transport.AppendString(b, ring.Scheme)
		b = transport.AppendString(b, name)
		b = transport.AppendString(b, "127.9.0.1:7946")
		return transport.AppendUint(b, 1)
	}, nil)
	require.NoError(t, err)
	return p
}

type clockCall struct{}

const kindTime = 6 // as cluster/internal/wire has it

func (clockCall) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

func (clockCall) ReadAnswer([]byte) error { return nil }

// Who knows the secret, and has a certificate for another name, of another CA, for another use, or
// none, gets no answer in the name of a node; who has that node's does.
func TestNobodySpeaksInAnothersName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCertified(t, time.Hour, "node0", "node1")
		other := newAuthority(t)
		with := func(cert *tls.Certificate) *tls.Config {
			return &tls.Config{RootCAs: c.ca.pool, Certificates: []tls.Certificate{*cert}}
		}
		c.from = c.Net.Host("asking", "127.9.0.1")
		for _, x := range []struct {
			what, name string
			conf       *tls.Config
			refused    string
		}{
			{"its own", "node9", with(c.ca.issue("node9", time.Hour)), ""},
			{"its own, of SPIFFE", "spiffe://a/b", with(c.ca.issue("spiffe://a/b", time.Hour)), ""},
			{"another's", "node1", with(c.ca.issue("node9", time.Hour)), `a node says that it is "node1", and its certificate is for ["node9"]`},
			{"a pattern", "node1.example", with(c.ca.issue("*.example", time.Hour)), `its certificate is for ["*.example"]`},
			{"another URI", "https://a/b", with(c.ca.issue("spiffe://a/b", time.Hour)), `its certificate is for ["spiffe://a/b"]`},
			{"of another CA", "node1", with(other.issue("node1", time.Hour)), "tls:"},
			{"for servers only", "node1", with(c.ca.issue("node1", time.Hour, x509.ExtKeyUsageServerAuth)), "tls:"},
			{"none to show", "node1", &tls.Config{RootCAs: c.ca.pool}, "tls:"},
			{"none at all", "node1", nil, "tls:"},
			{"does not believe us", "node9", &tls.Config{RootCAs: other.pool, Certificates: with(c.ca.issue("node9", time.Hour)).Certificates}, "unknown authority"},
		} {
			p := c.asking(t, x.name, x.conf)
			err := p.Call(context.Background(), time.Now().Add(5*time.Second), kindTime, clockCall{})
			if x.refused == "" {
				assert.NoError(t, err, x.what)
			} else {
				assert.ErrorContains(t, err, x.refused, x.what)
			}
			p.Close()
			time.Sleep(11 * time.Second) // the log tells each kind again
		}
		assert.NotZero(t, c.log.count("a node says that it is"))
		assert.NotZero(t, c.log.count("client didn't provide a certificate"))
		assert.True(t, c.Whole())
	})
}

// A node does not believe who answers in another's name at an address that it dials.
func TestNobodyAnswersInAnothersName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCertified(t, 5000*time.Hour, "node0", "node1")
		c.certs[1].Store(c.ca.issue("node9", 5000*time.Hour)) // Start looks only once
		c.reconnect()
		time.Sleep(20 * time.Second)
		assert.Zero(t, c.heard(0))
		assert.Zero(t, c.heard(1))
		assert.NotZero(t, c.log.count("certificates: a node says that it is"))
	})
}

// A configuration of certificates that cannot be right is refused with what is wrong.
func TestBadCertificates(t *testing.T) {
	ca := newAuthority(t)
	good := tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{*ca.issue("node0", time.Hour)}}
	for want, change := range map[string]func(*cluster.Config, *tls.Config){
		"needs a Secret":                                             func(c *cluster.Config, _ *tls.Config) { c.Secret = nil },
		"neither RootCAs nor ClientCAs":                              func(_ *cluster.Config, x *tls.Config) { x.RootCAs = nil },
		"neither Certificates nor GetCertificate":                    func(_ *cluster.Config, x *tls.Config) { x.Certificates = nil },
		`a certificate of ["node0"], and the node's Name is "node1"`: func(c *cluster.Config, _ *tls.Config) { c.Name = "node1" },
		"gives no certificate": func(_ *cluster.Config, x *tls.Config) {
			x.Certificates, x.GetCertificate = nil, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, context.Canceled }
		},
	} {
		x := good.Clone()
		cfg := cluster.Config{Name: "node0", Secret: newSecret, TLS: x}
		change(&cfg, x)
		_, err := cluster.Start(t.Context(), cfg)
		require.ErrorIs(t, err, cluster.ErrConfig, want)
		assert.True(t, strings.Contains(err.Error(), want), "%v", err)
	}
}
