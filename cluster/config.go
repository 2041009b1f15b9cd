package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/weir-go/weir/cluster/internal/port"
	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/limiter"
)

// Config is the configuration of a [Node]. The zero value is good for a node that
// is alone, on an ephemeral loopback port.
type Config struct {
	// Name is the node's name, unique among the living nodes of the cluster: see
	// ErrNameTaken. A node that restarts may take its old name again, at the same address
	// or another, or another name at the same address: both prove that the old process is
	// gone. At most 128 bytes. Empty means the host's name and a random number.
	Name string
	// Bind is the address to listen on, TCP and UDP, as net.Listen takes it: "ip:port",
	// "localhost:7946", or ":7946" for all addresses of this machine. Of a name the first
	// address counts, an IPv4 one if it has any. Empty means "127.0.0.1:0"; port 0 picks a
	// free one.
	Bind string
	// Advertise is the address at which the others reach this node, "ip:port". Empty
	// means Bind's, or where that is unspecified (0.0.0.0), the address from which
	// this machine reaches the network. Port 0 means the port that was bound.
	Advertise string
	// Join are addresses of other nodes: "host:port", also "[fe80::1%eth0]:7946", or with
	// "dns:" before it; or "srv:_weir._udp.example.org", whose SRV records have hosts and ports.
	// All addresses of a name count, IPv4 and IPv6, and names are resolved anew each time, so a
	// name with the addresses of all nodes is a good choice: a headless service of Kubernetes,
	// say. The node's own address may be among them. Those that do not answer are
	// tried for ever; other addresses of nodes that vanished for six hours. So a split
	// that lasts longer heals if some node on one side has one of the other side here.
	Join []string
	// Discover finds other nodes where Join cannot: what it returns is taken as Join is. It is
	// asked at the start, and whenever the node looks for who is missing, every few seconds
	// then, at times by several goroutines at once; it has two seconds, and is not waited for any
	// longer. A panic counts as an error. An error is logged once in ten minutes. Default: none.
	Discover func(ctx context.Context) ([]string, error)
	// JoinTimeout is for how long a node that has Join or Discover, of which nobody answers, is not
	// Ready: until then it tries, afterwards it says that it is alone, and is ready. 0 means
	// 10 s; less than 0 that it does not wait. With ExpectedNodes above 1 a node that has never
	// met another one is never ready, nor is one while nodes of another version refuse it.
	JoinTimeout time.Duration
	// Secret proves that a node belongs to the cluster, and encrypts what the nodes
	// tell each other: at least 16 bytes, 8 of them different. NewSecret makes one, and so does
	//
	//	openssl rand -base64 32
	//
	// A node without a secret can only use loopback addresses.
	Secret Secret
	// Secrets are several, instead of Secret, so that they can change while the cluster runs: the
	// node proves the first, and lets in who proves any; at most four. Change them by
	// Node.SetSecrets, or by a restart, one step at a time on all nodes: {old, new},
	// {new, old}, {new}. They need an IDSecret.
	Secrets []Secret
	// IDSecret is what the ids are made from that stand for keys, in memory and between nodes. It
	// opens nothing, and never changes while the cluster runs: nodes that differ refuse each
	// other. Empty means Secret; so a cluster that has had one Secret takes that as its IDSecret
	// from the first time that it has Secrets.
	IDSecret Secret
	// TLS, beside a secret, has nodes show each other certificates of one CA, of the operator's:
	// then none asks or answers in another's name. What counts of it are its Certificates, or GetCertificate,
	// which is asked anew for each connection; RootCAs or ClientCAs, one of which may stand for both;
	// VerifyConnection, GetClientCertificate and Time. A certificate is for servers and clients, and has the
	// node's Name as a DNS name or as a SPIFFE URI, letter for letter. All nodes need it, or none.
	TLS *tls.Config
	// Label keeps clusters apart that can reach each other. Empty means "weir"; at
	// most 64 bytes.
	Label string

	// MaxKeys is how many budgets this node holds at most, its own and copies of
	// others'. 0 means limiter.DefaultMaxKeys.
	MaxKeys int
	// Replicas is how many successors hold copies of a budget: 1 or 2; 0 means 1.
	Replicas int
	// Split says what a side of a split cluster may admit for limits that do not say
	// so themselves. SplitDefault means SplitFull.
	Split limiter.Split
	// AllowFrom are the networks of the nodes: connections and packets from anywhere else are
	// dropped before a byte of them is read. It does not replace Secret. Default: all may come.
	AllowFrom []netip.Prefix
	// Voters are the names of the nodes of which a majority decides under SplitQuorum:
	// those of a StatefulSet, say; three or five, at most nine. Other nodes may decide, too,
	// if a majority of these lets them. Without it SplitQuorum is refused. All nodes need
	// the same list. It is changed by one name at a time, and not again before all nodes
	// run with it: nodes whose lists differ by more than one name agree on nothing, and two
	// such lists in one cluster can each have a majority.
	Voters []string
	// ExpectedNodes is how many nodes the cluster has when it is whole. SplitShare holds its
	// bound without it only until ForgetAfter, and for a node that starts cut off from all
	// others not at all. 0 means that it is learned.
	ExpectedNodes int
	// ForgetAfter is how long a node that vanished without leaving still counts as
	// known. 0 means one minute.
	ForgetAfter time.Duration

	// CallTimeout is how much longer than its round trip a peer may take to answer, before
	// somebody else is asked. Round trips are measured, and waits follow them, up to 2 s;
	// so CallTimeout need not be raised for long wires. 0 means 100 ms; at least 1 ms. A
	// decision takes at most as long as the holder and each successor may take, one after
	// the other, each with one round trip more to ask another node: with one replica, on
	// short wires, twice CallTimeout. While a partition changes hands its next owner may
	// have to be asked as well. For a limit that wants a quorum each has another
	// CallTimeout and three round trips, to ask the voters; and where none of them decides, this
	// node asks the voters itself, for as long once more.
	CallTimeout time.Duration
	// FlushInterval is how often what changed is copied to the successors, and so how
	// much admission a crash can forget. 0 means 100 ms; at least 1 ms.
	FlushInterval time.Duration

	// Logger receives what an operator wants to know: never a secret, never a key.
	// Nil means slog.Default.
	Logger *slog.Logger
	// OnForward hears how each take was decided for which others were asked, on the taker's
	// goroutine and with the context of its Take: for traces, see package otelweir. It must
	// return soon, and is never called for takes that are decided where they begin. Nil
	// means nobody.
	OnForward func(context.Context, Forwarded)
	// Network is where the node listens and dials. Nil means the machine's own.
	Network Network
	// Now is the node's clock; nil means time.Now, and steps of the wall clock change
	// nothing, since only monotonic differences count. Tests may skew it, and stop it
	// as a stopped process sees it.
	Now func() time.Time

	resolver *net.Resolver // the system's, but in tests
	lap      func() func() // tests hear when a lap of the loop begins, and when it ends
}

// ErrConfig is wrapped by Start's errors about its Config.
var ErrConfig = errors.New("invalid config")

const (
	nameMax  = 128
	labelMax = 64
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		host, _ := os.Hostname()
		c.Name = fmt.Sprintf("%.100s-%s", host, rand.Text()[:8])
	}
	if c.Bind == "" {
		c.Bind = "127.0.0.1:0"
	}
	if c.Label == "" {
		c.Label = "weir"
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = limiter.DefaultMaxKeys
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Split == limiter.SplitDefault {
		c.Split = limiter.SplitFull
	}
	defaultTo(&c.JoinTimeout, 10*time.Second)
	defaultTo(&c.ForgetAfter, time.Minute)
	defaultTo(&c.CallTimeout, 100*time.Millisecond)
	defaultTo(&c.FlushInterval, 100*time.Millisecond)
	if c.Discover != nil {
		c.Discover = guarded(c.Discover)
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Network == nil {
		c.Network = port.System{}
	}
	return c
}

func defaultTo(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// validate checks a config that has its defaults. Its errors name field and value.
func (c Config) validate() error {
	bad := func(field string, value any, why string) error {
		return fmt.Errorf("cluster: %w: %s %v %s", ErrConfig, field, value, why)
	}
	switch {
	case len(c.Name) > nameMax:
		return bad("Name", strconv.Quote(c.Name), fmt.Sprintf("is longer than %d bytes", nameMax))
	case len(c.Label) > labelMax:
		return bad("Label", strconv.Quote(c.Label), fmt.Sprintf("is longer than %d bytes", labelMax))
	case slices.ContainsFunc(c.AllowFrom, func(p netip.Prefix) bool { return !p.IsValid() }):
		return bad("AllowFrom", c.AllowFrom, "has a network that is none")
	case c.MaxKeys < 1:
		return bad("MaxKeys", c.MaxKeys, "is not positive")
	case c.Replicas < 1 || c.Replicas > 2:
		return bad("Replicas", c.Replicas, "is not 1 or 2")
	case c.Split == limiter.SplitQuorum && len(c.Voters) == 0:
		return bad("Split", c.Split, "needs Voters")
	case c.Split > limiter.SplitQuorum:
		return bad("Split", c.Split, "is unknown")
	case c.ExpectedNodes < 0:
		return bad("ExpectedNodes", c.ExpectedNodes, "is negative")
	case c.ForgetAfter < 0:
		return bad("ForgetAfter", c.ForgetAfter, "is negative")
	case c.CallTimeout < time.Millisecond || c.CallTimeout > time.Minute:
		return bad("CallTimeout", c.CallTimeout, "is not within 1ms to 1m")
	case c.FlushInterval < time.Millisecond || c.FlushInterval > time.Minute:
		return bad("FlushInterval", c.FlushInterval, "is not within 1ms to 1m")
	}
	if err := errors.Join(c.checkSecrets(), c.checkTLS()); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(c.Bind); err != nil {
		return bad("Bind", strconv.Quote(c.Bind), `is not "host:port" or ":port"`)
	} else if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return bad("Bind", strconv.Quote(c.Bind), "has no port within 0 to 65535")
	}
	if c.Advertise != "" {
		a, err := netip.ParseAddrPort(c.Advertise)
		if err != nil || a.Addr().IsUnspecified() {
			return bad("Advertise", strconv.Quote(c.Advertise), `is not "ip:port" of an address that others can reach`)
		}
	}
	if _, err := quorum.NewList(c.Voters); err != nil {
		return bad("Voters", c.Voters, err.Error())
	}
	for _, a := range c.Join {
		if err := checkSeed(a, len(c.secrets()) > 0); err != nil {
			return bad("Join", strconv.Quote(a), err.Error())
		}
	}
	return nil
}

// resolveBind makes Bind an address to listen on: "ip:port", or ":port" for all. Without
// a secret it must be a loopback address.
func (c Config) resolveBind(ctx context.Context) (string, error) {
	host, port, _ := net.SplitHostPort(c.Bind) // validated
	number, _ := net.LookupPort("tcp", port)
	port = strconv.Itoa(number)
	var ip netip.Addr
	if host != "" {
		ips, err := c.lookup(ctx, host)
		if err != nil || len(ips) == 0 {
			return "", fmt.Errorf("cluster: %w: Bind %q does not resolve: %w", ErrConfig, c.Bind, err)
		}
		if ip = ips[0].Unmap(); !ip.Is4() {
			if i := slices.IndexFunc(ips, func(a netip.Addr) bool { return a.Unmap().Is4() }); i >= 0 {
				ip = ips[i].Unmap()
			}
		}
		host = ip.String()
	}
	if len(c.secrets()) == 0 && !ip.IsLoopback() {
		return "", fmt.Errorf("cluster: %w: Bind %q is not a loopback address: a node without a Secret would trust everybody who reaches it", ErrConfig, c.Bind)
	}
	return net.JoinHostPort(host, port), nil
}

// zone is the first that the configuration names, for link-local addresses.
func (c Config) zone() string {
	for _, s := range append([]string{c.Bind, c.Advertise}, c.Join...) {
		if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().Zone() != "" {
			return a.Addr().Zone()
		}
	}
	return ""
}
