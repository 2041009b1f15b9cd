package service

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testSecret = "the secret of a test cluster"

func newTestKeys(t testing.TB, secret string, signing crypto.Signer) *Keys {
	t.Helper()
	k, err := NewKeys([]byte(secret), signing)
	require.NoError(t, err)
	return k
}

// Which key signs, and who has the same.
func TestNewKeys(t *testing.T) {
	a, b := newTestKeys(t, testSecret, nil), newTestKeys(t, testSecret, nil)
	assert.Equal(t, "EdDSA", a.public.Algorithm)
	assert.Equal(t, a.public, b.public, "derived: all nodes have it")
	assert.NotEqual(t, a.public, newTestKeys(t, testSecret+"x", nil).public)

	c, d := newTestKeys(t, "", nil), newTestKeys(t, "", nil)
	assert.Equal(t, "RS256", c.public.Algorithm)
	assert.NotEqual(t, c.public, d.public, "made at the start")
	sealed, err := c.seal(kindCode, 1)
	require.NoError(t, err)
	assert.ErrorIs(t, d.open(kindCode, sealed, new(int)), errSealed)

	own, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	e := newTestKeys(t, testSecret, own)
	assert.Equal(t, "RS256", e.public.Algorithm)
	sealed, err = e.seal(kindCode, 1)
	require.NoError(t, err)
	assert.NoError(t, a.open(kindCode, sealed, new(int)), "the sealing key is the secret's")
}

func TestReadSigningKey(t *testing.T) {
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	pkcs8 := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		return b
	}
	text := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	for _, good := range [][]byte{
		text("PRIVATE KEY", pkcs8(long)), text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long)), text("PRIVATE KEY", pkcs8(edwards)),
	} {
		key, err := ReadSigningKey(good)
		require.NoError(t, err)
		k := newTestKeys(t, testSecret, key)
		token, err := k.sign(claims{Subject: "u", Expiry: time.Now().Unix() + 10})
		require.NoError(t, err)
		c, err := k.verify(token, time.Now())
		require.NoError(t, err)
		assert.Equal(t, "u", c.Subject)
	}
	for says, bad := range map[string][]byte{
		"is not PEM":           []byte("a secret"),
		"CERTIFICATE":          text("CERTIFICATE", pkcs8(long)),
		"cannot be read":       text("PRIVATE KEY", []byte("x")),
		"*ecdsa.PrivateKey":    text("PRIVATE KEY", pkcs8(curve)),
		"1024 bits, fewer":     text("PRIVATE KEY", pkcs8(short)),
		"has a \"PUBLIC KEY\"": text("PUBLIC KEY", []byte("x")),
	} {
		_, err := ReadSigningKey(bad)
		assert.ErrorContains(t, err, says)
	}
}

// Of a token nothing can be changed, and it ends on time.
func TestTokenIsSigned(t *testing.T) {
	for _, secret := range []string{testSecret, ""} {
		k := newTestKeys(t, secret, nil)
		now := time.Unix(1_800_000_000, 0)
		token, err := k.sign(claims{Issuer: "i", Subject: "s", Scopes: []string{"a"}, ID: "j", Expiry: now.Unix() + 60})
		require.NoError(t, err)
		_, err = k.verify(token, now.Add(59*time.Second))
		assert.NoError(t, err)
		_, err = k.verify(token, now.Add(60*time.Second))
		assert.ErrorIs(t, err, errToken)
		for i := range token {
			changed := token[:i] + string(token[i]^1) + token[i+1:]
			c, err := k.verify(changed, now)
			if err == nil { // the last bits of base64 mean nothing; then what it says is the same
				require.Equal(t, "s", c.Subject)
				require.Greater(t, i, strings.LastIndexByte(token, '.'))
			}
		}
	}
}

// Thumbprints are those of RFC 7638: this is its example (section 3.1).
func TestThumbprint(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
		"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	modulus, err := b64.DecodeString(n)
	require.NoError(t, err)
	s, err := newSigner(publicOnly{&rsa.PublicKey{N: bigInt(modulus), E: 65537}})
	require.NoError(t, err)
	assert.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", s.public.ID)
}

// A sealed text opens for its own kind alone, and only as it is.
func TestSealed(t *testing.T) {
	k := newTestKeys(t, testSecret, nil)
	text, err := k.seal(kindCode, permit{ID: "one"})
	require.NoError(t, err)
	var p permit
	require.NoError(t, newTestKeys(t, testSecret, nil).open(kindCode, text, &p))
	assert.Equal(t, "one", p.ID)
	again, err := k.seal(kindCode, permit{ID: "one"})
	require.NoError(t, err)
	assert.NotEqual(t, text, again, "it does not show that two are the same")
	other := string(kindRefresh) + strings.TrimPrefix(text, string(kindCode))
	assert.ErrorIs(t, k.open(kindRefresh, other, &p), errSealed)
	assert.ErrorIs(t, k.open(kindRefresh, text, &p), errSealed)
	for i := range text {
		assert.ErrorIs(t, k.open(kindCode, text[:i]+string(text[i]^1)+text[i+1:], &p), errSealed, i)
	}
	assert.ErrorIs(t, k.open(kindCode, text+"\n", &p), errSealed, "of a seal there is one spelling")
}

// Texts from outside never panic, and are accepted only as they were made.
func FuzzTokens(f *testing.F) {
	k := newTestKeys(f, testSecret, nil)
	now := time.Unix(1_800_000_000, 0)
	token, err := k.sign(claims{Subject: "s", Expiry: now.Unix() + 60})
	require.NoError(f, err)
	sealed, err := k.seal(kindCode, permit{ID: "one"})
	require.NoError(f, err)
	for _, seed := range []string{token, sealed, "", ".", "..", token + ".", k.header + "..", "code_", "code_AA==", "\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := k.verify(text, now); err == nil {
			require.Equal(t, "s", c.Subject)
		}
		var p permit
		if k.open(kindCode, text, &p) == nil {
			require.Equal(t, "one", p.ID)
		}
		require.Error(t, k.open(kindRefresh, text, &p))
	})
}
