//go:build linux

package netnslab

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// ErrUnavailable is wrapped by New's error where a lab cannot be: without root, the ip
// command, or namespaces.
var ErrUnavailable = errors.New("no network namespaces here")

// Lab is some hosts, numbered from 1, on one network.
type Lab struct {
	prefix  string // of the names of its namespaces
	hosts   int
	janitor *exec.Cmd
	alive   io.Closer // the janitor waits for its end
}

// HostsMax is how many hosts a lab can have.
const HostsMax = 100

// The bridges, in a namespace of their own. All hosts begin on the first. The second
// hangs on it by a trunk, the third on nothing.
const (
	hub       = "hub"
	bridge    = "main"
	farBridge = "far"
	island    = "island"
	trunk     = "trunk"
)

// New makes a lab of so many hosts, after it removed the labs of processes that are gone.
func New(hosts int) (*Lab, error) {
	if hosts < 1 || hosts > HostsMax {
		return nil, fmt.Errorf("netnslab: hosts %d is not within 1 to %d", hosts, HostsMax)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("netnslab: %w: needs root", ErrUnavailable)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("netnslab: %w: needs the ip command (iproute2)", ErrUnavailable)
	}
	sweep()
	l := &Lab{hosts: hosts, prefix: fmt.Sprintf("%s%d-%.6s-", prefix, os.Getpid(), strings.ToLower(rand.Text()))}
	if err := l.hireJanitor(); err != nil {
		return nil, err
	}
	if err := l.build(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// build makes the namespaces and the wires: one ip process per namespace.
func (l *Lab) build() error {
	var spaces []string
	for i := range l.hosts + 1 {
		spaces = append(spaces, "netns add "+l.name(i))
	}
	if err := batch(nil, spaces); err != nil {
		return fmt.Errorf("netnslab: %w: %w", ErrUnavailable, err)
	}
	wires := []string{"link add " + trunk + " type veth peer name " + trunk + "2"}
	for _, b := range []string{bridge, farBridge, island} {
		wires = append(wires, "link add "+b+" type bridge forward_delay 0", "link set "+b+" up")
	}
	wires = append(wires, "link set "+trunk+" master "+bridge+" up", "link set "+trunk+"2 master "+farBridge+" up")
	for i := 1; i <= l.hosts; i++ {
		wires = append(wires, fmt.Sprintf("link add %s type veth peer name eth0 netns %s", port(i), l.name(i)),
			fmt.Sprintf("link set %s master %s up", port(i), bridge))
	}
	if err := batch([]string{"-n", l.name(0)}, wires); err != nil {
		return err
	}
	for i := 1; i <= l.hosts; i++ {
		err := batch([]string{"-n", l.name(i)}, []string{"link set lo up",
			"addr add " + l.IP(i) + "/24 dev eth0", "link set eth0 up"})
		if err != nil {
			return err
		}
	}
	return nil
}

// name is the namespace of a host, or for 0 that of the bridges.
func (l *Lab) name(host int) string {
	if host == 0 {
		return l.prefix + hub
	}
	return fmt.Sprint(l.prefix, host)
}

// port is a host's end of its wire at the bridge.
func port(host int) string { return fmt.Sprint("port", host) }

// IP is a host's address.
func (l *Lab) IP(host int) string { return fmt.Sprintf("10.77.0.%d", host) }

// Network is the network of all hosts.
const Network = "10.77.0.0/24"

// Command is a program that runs on a host. The process that it starts is the program
// itself, so signals reach it.
func (l *Lab) Command(host int, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", l.name(host), name}, args...)...)
}

// batch gives commands to one ip process; it stops at the first that fails.
func batch(flags, commands []string) error {
	c := exec.Command("ip", append(flags, "-batch", "-")...)
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	return run(c)
}

func run(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("netnslab: %s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Close ends what runs on the hosts and removes them. It is the janitor who does so.
func (l *Lab) Close() error {
	l.alive.Close()
	if err := l.janitor.Wait(); err != nil {
		return fmt.Errorf("netnslab: the janitor of %s: %w", l.prefix, err)
	}
	return nil
}

// Names of processes' labs begin with this and the process's id.
const prefix = "weirlab"

// The janitor's orders: wait, then clear away all whose name begins with $1. A stopped
// process dies of SIGKILL too. $2 is the lab's own process, never to be killed.
const orders = `
trap '' INT TERM HUP
cat >/dev/null
for path in /run/netns/"$1"*; do
	[ -e "$path" ] || continue
	name=${path##*/}
	for pid in $(ip netns pids "$name"); do
		[ "$pid" = "$2" ] || kill -9 "$pid" 2>/dev/null
	done
	ip netns del "$name" || failed=1
done
exit ${failed:-0}`

// hireJanitor starts the janitor, in a process group of its own: Ctrl-C is not for it.
func (l *Lab) hireJanitor() (err error) {
	l.janitor = exec.Command("sh", "-c", orders, "janitor", l.prefix, fmt.Sprint(os.Getpid()))
	l.janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if l.alive, err = l.janitor.StdinPipe(); err != nil {
		return err
	}
	return l.janitor.Start()
}

// sweep removes labs of processes that are gone: their janitors must have been killed.
func sweep() {
	found, _ := os.ReadDir("/run/netns") // where there is none, there is nothing to sweep
	for _, f := range found {
		var pid int
		if n, _ := fmt.Sscanf(f.Name(), prefix+"%d-", &pid); n != 1 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		_ = run(exec.Command("sh", "-c", orders, "janitor", f.Name(), fmt.Sprint(os.Getpid()))) // another lab may be quicker
	}
}
