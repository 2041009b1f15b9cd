package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-go/weir/limiter"
)

// options are the checked flags.
type options struct {
	nodes    int
	http     string
	bind     string
	name     string
	join     []string
	secret   []byte
	split    limiter.Split
	expected int
	trusted  []netip.Prefix
	policy   string // file, or ""
	try      bool
}

const (
	httpDefault = "127.0.0.1:8080"
	bindDefault = "127.0.0.1:7946"
	nodesMax    = 50 // more in one process shows nothing new
)

// parse reads the flags. Its errors name the flag and the value.
func parse(args []string, secret string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("authservice", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints the error, once
	f.IntVar(&o.nodes, "nodes", 3, "run this many nodes in this process")
	f.StringVar(&o.http, "http", httpDefault, "serve HTTP at this `address`; further nodes take the following ports")
	f.StringVar(&o.bind, "bind", bindDefault, "cluster `address`, TCP and UDP; further nodes take the following ports")
	f.StringVar(&o.name, "name", "", "the node's name (with -nodes 1); default: host name and a random part")
	join := f.String("join", "", "`addresses` of other nodes, with commas between (with -nodes 1)")
	split := f.String("split", "full", "what a side of a split cluster admits: full, share or quorum")
	f.IntVar(&o.expected, "expected-nodes", 0, "how many nodes the whole cluster has; 0: learned")
	trusted := f.String("trusted-proxies", "", "`networks` whose X-Forwarded-For is believed, with commas between")
	f.StringVar(&o.policy, "policy", "", "`file` with the policy, YAML or JSON, reloaded when it changes and on SIGHUP; "+
		"default: the reference policy")
	f.BoolVar(&o.try, "try", false, "send demonstration traffic, print what was admitted, exit 0 if it was exact; "+
		"without -http and -bind it uses ports that are free")
	if err := f.Parse(args); err != nil {
		if err == flag.ErrHelp {
			f.SetOutput(stderr)
			fmt.Fprintln(stderr, "usage: [WEIR_SECRET=…] authservice [flags]")
			f.PrintDefaults()
		}
		return o, err
	}
	set := map[string]bool{}
	f.Visit(func(f *flag.Flag) { set[f.Name] = true })

	bad := func(name string, value any, why string) error {
		return fmt.Errorf("flag -%s: %q %s", name, fmt.Sprint(value), why)
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("argument %q: there are only flags", f.Arg(0))
	case o.nodes < 1 || o.nodes > nodesMax:
		return o, bad("nodes", o.nodes, fmt.Sprintf("is not within 1 to %d", nodesMax))
	case o.nodes > 1 && set["name"]:
		return o, bad("name", o.name, "needs -nodes 1: several nodes cannot share a name")
	case o.nodes > 1 && set["join"]:
		return o, bad("join", *join, "needs -nodes 1: the nodes of one process join each other")
	case o.expected < 0:
		return o, bad("expected-nodes", o.expected, "is negative")
	case o.policy == "" && set["policy"]:
		return o, bad("policy", "", "is no file")
	case o.policy != "" && o.try:
		return o, bad("policy", o.policy, "excludes -try, which knows the limits of the reference policy only")
	}
	if o.join = list(*join); len(o.join) == 0 && set["join"] {
		return o, bad("join", *join, "has no address")
	}
	if o.split, err = splitOf(*split); err != nil {
		return o, bad("split", *split, err.Error())
	}
	for _, text := range list(*trusted) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return o, bad("trusted-proxies", text, `is not a network such as "10.0.0.0/8"`)
		}
		o.trusted = append(o.trusted, p)
	}
	if err := o.ports(set); err != nil {
		return o, err
	}
	o.secret = []byte(secret)
	if o.nodes > 1 && secret == "" {
		o.secret = []byte(rand.Text()) // shared by the nodes of this process, and by nobody else
	}
	return o, nil
}

// ports checks the addresses. A demonstration needs no port that one knows beforehand, so
// it should not fail because somebody else uses one.
func (o *options) ports(set map[string]bool) error {
	for _, a := range []struct {
		name string
		addr *string
	}{{"http", &o.http}, {"bind", &o.bind}} {
		if o.try && !set[a.name] {
			*a.addr = "127.0.0.1:0"
		}
		_, port, err := net.SplitHostPort(*a.addr)
		n, err2 := strconv.Atoi(port)
		if err != nil || err2 != nil || n < 0 || n+o.nodes-1 > 65535 {
			return fmt.Errorf("flag -%s: %q is not an address and port, with room for %d ports", a.name, *a.addr, o.nodes)
		}
	}
	return nil
}

// following is the address i ports further; port 0 stays: each node gets one.
func following(addr string, i int) string {
	host, port, _ := net.SplitHostPort(addr) // checked by ports
	n, _ := strconv.Atoi(port)
	if n != 0 {
		n += i
	}
	return net.JoinHostPort(host, strconv.Itoa(n))
}

// list splits a flag at its commas.
func list(text string) (parts []string) {
	for p := range strings.SplitSeq(text, ",") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// splitOf reads the names that policy files use.
func splitOf(name string) (limiter.Split, error) {
	for _, s := range []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum} {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("is not full, share or quorum")
}
