package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// Secrets are long, printable, and no two are alike.
func TestNewSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s := NewSecret()
		require.Len(t, s, 43)
		require.Empty(t, s.check())
		require.NotContains(t, []byte(s), byte(0))
		require.False(t, seen[string(s)])
		seen[string(s)] = true
	}
}

// However a Config, or what has one, is printed, its secret is not.
func TestSecretIsNotShown(t *testing.T) {
	const text = "correct-horse-battery"
	c := Config{Name: "node1", Secret: []byte(text), Secrets: []Secret{[]byte(text)}, IDSecret: []byte(text)}
	outer := struct {
		Cluster *Config
		By      map[string]Config
		Secret  Secret
	}{&c, map[string]Config{"a": c}, c.Secret}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("start", "secret", c.Secret, "config", c, "outer", outer)
	}
	marshalled, err := json.Marshal(map[string]any{"secret": c.Secret})
	require.NoError(t, err)
	all := log.String() + string(marshalled) + c.Secret.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "% x"} {
		all += fmt.Sprintf(verb, c.Secret) + fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, outer)
	}
	for _, shown := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprint([]byte(text)), "99 111 114", "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"} {
		require.NotContains(t, all, shown)
	}
	require.Contains(t, all, "[secret]")
}
