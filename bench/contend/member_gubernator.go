package contend

import (
	"context"
	"net"

	guber "github.com/gubernator-io/gubernator/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// guberMember is a gubernator daemon in this process, asked as a library or through
// its own gRPC port, as services in other languages do.
type guberMember struct {
	d        *guber.Daemon
	addr     string
	behavior guber.Behavior
	client   guber.V1Client // nil asks as a library
}

func startGubernator(s Setup) (Member, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	d, err := guber.SpawnDaemon(ctx, guber.DaemonConfig{
		GRPCListenAddress: addr, AdvertiseAddress: addr, HTTPListenAddress: "127.0.0.1:0", InstanceID: s.Name,
		CacheSize: s.MaxKeys, PeerDiscoveryType: "none", Logger: quiet(),
		Behaviors: guber.BehaviorConfig{BatchTimeout: callTimeout, GlobalTimeout: callTimeout},
	})
	if err != nil {
		return nil, err
	}
	m := &guberMember{d: d, addr: addr, behavior: guber.Behavior_NO_BATCHING}
	switch s.Kind {
	case GubernatorBatch:
		m.behavior = guber.Behavior_BATCHING
	case GubernatorAll:
		m.behavior = guber.Behavior_GLOBAL
	case GubernatorGRPC:
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		m.client = guber.NewV1Client(conn)
	}
	return m, nil
}

// freeAddr is a port that was free a moment ago: gubernator wants to be told one.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (m *guberMember) Addr() string { return m.addr }

// Meet tells the peers by hand: how they are found is not what is measured.
func (m *guberMember) Meet(_ context.Context, addrs []string) error {
	peers := make([]guber.PeerInfo, len(addrs))
	for i, a := range addrs {
		peers[i].GRPCAddress = a
	}
	m.d.SetPeers(peers)
	return nil
}

func (m *guberMember) Taker(b Budget) Take {
	ctx := context.Background()
	if m.client != nil {
		return func(key string) (bool, error) {
			return guberAnswer(m.client.GetRateLimits(ctx, guberRequest(key, b, m.behavior)))
		}
	}
	return func(key string) (bool, error) {
		return guberAnswer(m.d.V1Server.GetRateLimits(ctx, guberRequest(key, b, m.behavior)))
	}
}

func (m *guberMember) Foreign(key string, _ Budget) (bool, error) {
	p, err := m.d.V1Server.GetPeer(context.Background(), guberName+"_"+key)
	if err != nil {
		return false, err
	}
	return !p.Info().IsOwner, nil
}

// Forwarded is not counted by gubernator where it could be read.
func (m *guberMember) Forwarded() int64 { return -1 }

// Anomalies are not told apart: what fails at gubernator returns an error.
func (m *guberMember) Anomalies() int64 { return 0 }

func (m *guberMember) Close() { m.d.Close() }
