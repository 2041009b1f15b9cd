package integration

import (
	"bufio"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// A node with another secret, or with none, stays alone: the cluster does not count it,
// and it decides by itself.
func TestWrongSecretDoesNotJoin(t *testing.T) {
	nodes := startAll(t, 2, spec{CallTimeout: calm})
	const route = "POST /v1/authorize"
	c := settled(t, nodes[0], route)
	require.Equal(t, 9, c.spend(route, 40, nodes...).admitted)
	for _, wrong := range []string{"the secret of somebody else", ""} {
		intruder := must(t, spec{Name: "intruder", Secret: wrong, Join: []string{nodes[0].told.Bind, nodes[1].told.Bind}})
		eventually(t, func() bool { return strings.Contains(intruder.log.String(), "cannot join yet") },
			"secret %q: the intruder's log says nothing of it: %s", wrong, intruder.log)
		awaitNodes(t, 1, intruder)
		awaitNodes(t, 2, nodes...)
		r := c.must(intruder, route)
		assert.Equal(t, "9", r.header.Get("X-RateLimit-Remaining"), "secret %q: it learns no count", wrong)
		r = c.must(nodes[1], route)
		assert.Equal(t, http.StatusTooManyRequests, r.status, "and has changed none")
		assert.NotContains(t, nodes[0].log.String(), "intruder", "nobody took it for a member")
	}
}

// clockCall asks a node for its clock: the least that a peer can ask.
type clockCall struct{ answered bool }

const kindTime = 6 // as cluster/internal/wire has it

func (*clockCall) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

func (c *clockCall) ReadAnswer([]byte) error { c.answered = true; return nil }

// askClock calls a node as a peer that knows a secret.
func askClock(t *testing.T, addr, secret string) (bool, error) {
	t.Helper()
	cfg := transport.Config{Label: "weir"}
	if secret != "" {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "weir calls v1", 32)
		require.NoError(t, err)
		cfg.Secret = key
	}
	p, err := transport.NewPeer(cfg, addr, func() []byte {
		b := transport.AppendArrayLen(nil, 4)
		b = transport.AppendString(b, ring.Scheme)
		b = transport.AppendString(b, "stranger")
		b = transport.AppendString(b, "127.0.0.1:1")
		return transport.AppendUint(b, 1)
	}, nil)
	require.NoError(t, err)
	defer p.Close()
	var c clockCall
	err = p.Call(t.Context(), time.Now().Add(calm), kindTime, &c)
	return c.answered, err
}

// Who does not prove the secret gets no answer to any call, on the very port and in the
// very words in which who does gets one.
func TestWrongSecretGetsNoAnswer(t *testing.T) {
	node := startAll(t, 1, spec{})[0]
	answered, err := askClock(t, node.told.Bind, secret)
	require.NoError(t, err, "the right secret")
	require.True(t, answered)
	for _, wrong := range []string{"the secret of somebody else", ""} {
		answered, err := askClock(t, node.told.Bind, wrong)
		assert.Error(t, err, "secret %q", wrong)
		assert.False(t, answered, "secret %q", wrong)
		var refused *transport.RefusedError
		assert.True(t, errors.As(err, &refused) || errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrTimeout),
			"secret %q: %v", wrong, err)
	}
}

// Garbage on the port closes that connection and nothing else.
func TestGarbageOnThePort(t *testing.T) {
	nodes := startAll(t, 3, spec{CallTimeout: calm})
	noise := make([]byte, 64<<10)
	rand.Read(noise)
	huge := binary.BigEndian.AppendUint32(nil, 1<<32-1)
	for name, garbage := range map[string][]byte{
		"random bytes":               append([]byte{0x80}, noise...),
		"zeros":                      make([]byte, 4096),
		"an HTTP request":            []byte("GET / HTTP/1.1\r\nHost: weir\r\n\r\n"),
		"a TLS greeting":             []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"a huge length":              append(huge, noise...),
		"a call without a secret":    append([]byte("weir\x01\x00"), append(huge, noise...)...),
		"a call and noise for TLS":   append([]byte("weir\x01\x01"), noise...),
		"a call of another version":  append([]byte("weir\x63\x01"), noise...),
		"gossip that is noise":       append([]byte{244, 4, 'w', 'e', 'i', 'r'}, noise...),
		"gossip with another label":  append([]byte{244, 5, 'o', 't', 'h', 'e', 'r'}, noise...),
		"gossip with a huge length":  append(append([]byte{244, 4, 'w', 'e', 'i', 'r', 10}, huge...), noise...),
		"a preface that never comes": []byte("wei"),
	} {
		conn, err := net.Dial("tcp", nodes[1].told.Bind)
		require.NoError(t, err, name)
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(garbage)                // it may be cut off in the middle
		conn.(*net.TCPConn).CloseWrite()   // and then fails
		_, err = io.Copy(io.Discard, conn) // until it is closed
		assert.False(t, isTimeout(err), "%s: the connection stays open", name)
		conn.Close()

		packet, err := net.Dial("udp", nodes[1].told.Bind)
		require.NoError(t, err, name)
		packet.Write(garbage[:min(len(garbage), 1400)])
		packet.Close()
	}
	const route = "POST /v1/authorize"
	c := settled(t, nodes[0], route)
	got := c.spend(route, 60, nodes...)
	assert.Zero(t, got.failed, "%v", got.failures)
	assert.Equal(t, 9, got.admitted)
	awaitNodes(t, 3, nodes...)
	for _, n := range nodes {
		assert.NotContains(t, n.log.String(), "live=2 known=3", "%s lost sight of nobody", n.spec.Name)
	}
}

// A connection that says nothing is closed in the end, and hinders nobody meanwhile.
func TestSilenceOnThePort(t *testing.T) {
	nodes := startAll(t, 2, spec{CallTimeout: calm})
	var silent []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", nodes[0].told.Bind)
		require.NoError(t, err)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		silent = append(silent, conn)
	}
	const route = "POST /v1/authorize"
	assert.Equal(t, 9, settled(t, nodes[0], route).spend(route, 60, nodes...).admitted)
	for _, conn := range silent {
		_, err := bufio.NewReader(conn).ReadByte()
		assert.False(t, isTimeout(err), "the connection stays open")
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Without a secret a node refuses every address that others could reach.
func TestNoSecretIsForLoopbackOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, bind := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:7946"} {
		_, err := launch(t, spec{Name: "open", Bind: bind})
		require.Error(t, err, bind)
		assert.ErrorContains(t, err, "Bind", bind)
		assert.ErrorContains(t, err, bind)
		assert.ErrorContains(t, err, "without a Secret")
	}
}
