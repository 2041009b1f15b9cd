package port

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Packets that nodes of 0.9.0 sent to 127.0.0.1:7946, with the label "weir": sealed by a secret, and
// plain. Nodes of different builds must open each other's.
const (
	sealedPacket = "f57451b7d17ed058ca00000001326fde79679ec363985321e41b56338bcd23"
	plainPacket  = "f404776569720102"
)

func TestPacketsOfEarlierVersions(t *testing.T) {
	to := netip.MustParseAddrPort("127.0.0.1:7946")
	for secret, packet := range map[string]string{"0123456789abcdef": sealedPacket, "": plainPacket} {
		s := newSeal("weir")
		if secret != "" {
			s.set([][]byte{[]byte(secret)})
		}
		b, err := hex.DecodeString(packet)
		require.NoError(t, err)
		said, v := s.open(to, b)
		require.Equal(t, packetGood, v, packet)
		require.Equal(t, []byte{1, 2}, said)
	}
}
