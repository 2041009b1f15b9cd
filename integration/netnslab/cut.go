//go:build linux

package netnslab

import (
	"fmt"
	"os/exec"
	"strings"
)

// Kind is one way in which a network breaks. They differ in who is told, and how.
type Kind int

const (
	// Bridge moves side b to a bridge that hangs on nothing: silence, links stay up.
	Bridge Kind = iota
	// Trunk moves side b to the far bridge, and takes the trunk between the two down:
	// silence, as when a switch loses its uplink.
	Trunk
	// Link takes down the links of side b's hosts at their own end: each of them is
	// alone, and told so at once ("network is unreachable"). Side a hears silence.
	Link
	// Drop makes side b's hosts drop what comes from side a and goes there. Needs
	// iptables.
	Drop
	// DropOneWay makes side b's hosts drop what goes to side a, and only that: b hears
	// and is not heard. Needs iptables.
	DropOneWay
	// Blackhole gives each side a blackhole route to each host of the other: dials fail
	// at once, with an odd error, and packets vanish.
	Blackhole
)

// Kinds are all kinds.
var Kinds = []Kind{Bridge, Trunk, Link, Drop, DropOneWay, Blackhole}

// String names a kind, fit for the name of a test.
func (k Kind) String() string {
	switch k {
	case Bridge:
		return "bridge"
	case Trunk:
		return "trunk down"
	case Link:
		return "link down"
	case Drop:
		return "drop"
	case DropOneWay:
		return "drop one way"
	case Blackhole:
		return "blackhole"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Usable says whether this machine has what a kind needs.
func (k Kind) Usable() error {
	if k == Drop || k == DropOneWay {
		if _, err := exec.LookPath("iptables"); err != nil {
			return fmt.Errorf("netnslab: %w: %v needs iptables", ErrUnavailable, k)
		}
	}
	return nil
}

// Cut breaks the network between two sides.
func (l *Lab) Cut(k Kind, a, b []int) error { return l.change(k, a, b, false) }

// Mend undoes a Cut of the same kind and sides.
func (l *Lab) Mend(k Kind, a, b []int) error { return l.change(k, a, b, true) }

func (l *Lab) change(k Kind, a, b []int, mend bool) error {
	either := func(cut, mended string) string {
		if mend {
			return mended
		}
		return cut
	}
	switch k {
	case Bridge:
		return batch([]string{"-n", l.name(0)}, rewire(b, either(island, bridge)))
	case Trunk:
		steps := append(rewire(b, farBridge), "link set "+trunk+" down")
		if mend {
			steps = append([]string{"link set " + trunk + " up"}, rewire(b, bridge)...)
		}
		return batch([]string{"-n", l.name(0)}, steps)
	case Link:
		return l.onEach(b, func(host int) error {
			return batch([]string{"-n", l.name(host)}, []string{"link set eth0 " + either("down", "up")})
		})
	case Drop, DropOneWay:
		chains := []string{"OUTPUT -d", "INPUT -s"}
		if k == DropOneWay {
			chains = chains[:1]
		}
		return l.onEach(b, func(host int) error {
			return l.filter(host, either("-A", "-D"), chains, a)
		})
	case Blackhole:
		verb := either("add", "del")
		holes := func(from, to []int) error {
			return l.onEach(from, func(host int) error { return l.blackhole(host, verb, to) })
		}
		if err := holes(b, a); err != nil {
			return err
		}
		return holes(a, b)
	}
	return fmt.Errorf("netnslab: unknown kind %v", k)
}

// rewire puts the wires of some hosts on a bridge.
func rewire(hosts []int, to string) (steps []string) {
	for _, i := range hosts {
		steps = append(steps, "link set "+port(i)+" master "+to)
	}
	return steps
}

func (l *Lab) onEach(hosts []int, do func(host int) error) error {
	for _, i := range hosts {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// filter adds or deletes a host's DROP rules against others.
func (l *Lab) filter(host int, verb string, chains []string, others []int) error {
	var ips []string
	for _, i := range others {
		ips = append(ips, l.IP(i))
	}
	for _, chain := range chains {
		args := strings.Fields(verb + " " + chain + " " + strings.Join(ips, ",") + " -j DROP")
		if err := run(l.Command(host, "iptables", append([]string{"-w"}, args...)...)); err != nil {
			return err
		}
	}
	return nil
}

// blackhole adds or deletes a host's blackhole routes to others.
func (l *Lab) blackhole(host int, verb string, others []int) error {
	var steps []string
	for _, i := range others {
		steps = append(steps, "route "+verb+" blackhole "+l.IP(i))
	}
	return batch([]string{"-n", l.name(host)}, steps)
}
