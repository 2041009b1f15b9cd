package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Limits that both sides must agree on, hence constants.
const (
	// MaxFrame is the longest request or answer in bytes, without its length prefix.
	MaxFrame = 64 << 10
	// MaxHello is the longest hello, and the longest reply to one.
	MaxHello = 1 << 10
	// MaxLabel is the longest [Config.Label].
	MaxLabel = 255
	// MaxReason is how much of a refusal's text reaches the dialer.
	MaxReason = 256

	maxHelloFrame = 4 << 10
)

// maxSlots bounds MaxInFlight, so that a slot's number fits into a call's id with
// room for as many generations as a connection can live through.
const maxSlots = 1 << 16

// Config is shared by [Peer] and [Server], and copied. The zero value works.
type Config struct {
	// Secret is what both sides must prove to know. Empty: plain connections, and
	// none with a side that has a secret. A fake listener gets to see a proof, from
	// which a guessable secret can be guessed: use 16 random bytes or more.
	Secret []byte
	// Keyring is secrets that may change, instead of Secret. It must have one at least.
	Keyring *Keyring
	// TLS, beside secrets, has both sides show certificates of one CA. What counts of it is
	// Certificates, GetCertificate and GetClientCertificate (a dialer without the last shows what
	// GetCertificate gives), RootCAs and ClientCAs, one of which may stand for both,
	// VerifyConnection, Time and KeyLogWriter. It must not change.
	TLS *tls.Config
	// Identify, with TLS, compares how the other side introduced itself, by its hello or the reply
	// to one, with its certificate. An error ends the connection.
	Identify func(hello []byte, certificate *x509.Certificate) error
	// Label names the cluster; sides whose labels differ refuse each other. At most 255 bytes.
	Label string

	// MaxInFlight bounds the calls under way on one connection, on either side;
	// further calls fail with [ErrBusy]. Default 4096, at most 65536.
	MaxInFlight int
	// MaxBuffer bounds the bytes of one connection that wait to be written. Beyond it
	// calls fail with [ErrBusy], and a peer that does not read its answers is cut off.
	// Default 1 MiB, at least MaxFrame+4.
	MaxBuffer int
	// MaxConns bounds a server's connections whose peers have proved themselves. A peer
	// that is [Named] has two at most. Default 256.
	MaxConns int
	// MaxHandshakes bounds those of them that have proved the secret before TLS and are not
	// done; one more is closed. Default 64.
	MaxHandshakes int

	// DialTimeout bounds the dialling, and HandshakeTimeout the handshake that follows, on
	// both sides: some five round trips with a Secret. Neither has to do with how long a
	// call may take: a call that gives up leaves the attempt to the next. Defaults 2 s and 5 s.
	DialTimeout, HandshakeTimeout time.Duration
	// CallTimeout applies to calls without a deadline: nothing waits for ever. Default 1 s.
	CallTimeout time.Duration
	// WriteTimeout is how long a server waits for a peer to read its answers before it
	// cuts it off. Default 2 s.
	WriteTimeout time.Duration

	// Dial opens a connection. Default: TCP. It must observe ctx.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Known says of which addresses a server expects peers: these have places of their own
	// while they have not proved the secret. It must not block. Default: of none.
	Known func(netip.Addr) bool
	// Streams takes a server's connections that [DialStream] made. It runs on a goroutine
	// of the server, which Close waits for. Default: they are refused.
	Streams func(net.Conn)
	// Logger hears about refusals and broken rules, not about every lost connection.
	// Default: nobody does.
	Logger *slog.Logger
	// Strangers hears about those of them who had not proved the secret. Default: Logger does.
	Strangers *slog.Logger

	minors minors // what this build speaks; tests pretend other builds
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.MaxInFlight, 4096)
	or(&c.MaxBuffer, 1<<20)
	or(&c.MaxConns, 256)
	or(&c.MaxHandshakes, 64)
	orTime(&c.DialTimeout, 2*time.Second)
	orTime(&c.HandshakeTimeout, 5*time.Second)
	orTime(&c.CallTimeout, time.Second)
	orTime(&c.WriteTimeout, 2*time.Second)
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Strangers == nil {
		c.Strangers = c.Logger
	}
	if c.minors == (minors{}) {
		c.minors = minors{low: minorLow, high: minorHigh}
	}
	if c.Keyring == nil && len(c.Secret) > 0 {
		c.Keyring = NewKeyring(c.Secret)
	}
	c.Secret = nil
	return c
}

// validate names the field and the value, but never the secret.
func (c Config) validate() error {
	if len(c.Label) > MaxLabel {
		return fmt.Errorf("transport: Config.Label is %d bytes long, at most %d are allowed", len(c.Label), MaxLabel)
	}
	switch {
	case c.TLS != nil && c.Keyring.empty():
		return errors.New("transport: Config.TLS needs a secret")
	case c.TLS != nil && c.TLS.RootCAs == nil && c.TLS.ClientCAs == nil:
		return errors.New("transport: Config.TLS has neither RootCAs nor ClientCAs")
	}
	for _, f := range []struct {
		name          string
		v, low, limit int
	}{
		{"MaxInFlight", c.MaxInFlight, 1, maxSlots},
		{"MaxBuffer", c.MaxBuffer, MaxFrame + frameHead, 1 << 30},
		{"MaxConns", c.MaxConns, 1, 1 << 20},
		{"MaxHandshakes", c.MaxHandshakes, 1, 1 << 20},
	} {
		if f.v < f.low || f.v > f.limit {
			return fmt.Errorf("transport: Config.%s is %d, want %d to %d", f.name, f.v, f.low, f.limit)
		}
	}
	for _, f := range []struct {
		name string
		v    time.Duration
	}{
		{"DialTimeout", c.DialTimeout},
		{"HandshakeTimeout", c.HandshakeTimeout},
		{"CallTimeout", c.CallTimeout},
		{"WriteTimeout", c.WriteTimeout},
	} {
		if f.v < 0 {
			return fmt.Errorf("transport: Config.%s is %v, want a positive duration", f.name, f.v)
		}
	}
	return nil
}
