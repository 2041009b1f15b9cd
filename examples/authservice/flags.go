package main

import (
	"crypto"
	"flag"
	"net/netip"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// options are the checked flags.
type options struct {
	nodes     int
	http      string
	admin     string
	bind      string
	advertise string
	name      string
	join      []string
	secret    cluster.Secret   // the one that is proved
	secrets   []cluster.Secret // all of the file's, where they may change
	ids       cluster.Secret   // stays when they do
	file      string           // that the secrets are from, or ""
	split     limiter.Split
	expected  int
	voters    []string
	timeout   time.Duration
	drain     time.Duration
	trusted   []netip.Prefix
	policy    string // file, or ""
	headers   middleware.Dialect
	signing   crypto.Signer // nil: made, or derived
	issuer    string
	origins   []string
	try       bool
	version   bool
}

// alone says whether this process is the whole service: several nodes in one process are a
// demonstration, and one without a secret stays on loopback. Then memory is shared by
// all nodes, and keys need to live no longer than the process.
func (o options) alone() bool { return o.nodes > 1 || len(o.secret) == 0 }

const (
	httpDefault  = "127.0.0.1:8080"
	bindDefault  = "127.0.0.1:7946"
	drainDefault = 2 * time.Second
	drainMax     = 10 * time.Minute
	nodesMax     = 50 // more in one process shows nothing new
)

const usage = `usage: [WEIR_SECRET=…] authservice [flags]

WEIR_SECRET (or -secret-file) is the same on all nodes: openssl rand -base64 32 makes one.
Without it a node stays on loopback. With -id-secret-file it can change while they run.

`

// texts are the flags that need more than their package to be read.
type texts struct{ join, split, voters, trusted, headers, origins, secretFile, idFile, signingFile string }

// define names all flags.
func (o *options) define(f *flag.FlagSet, x *texts) {
	f.IntVar(&o.nodes, "nodes", 3, "run this many nodes in this process")
	f.StringVar(&o.http, "http", httpDefault, "serve HTTP at this `address`; further nodes take the following ports")
	f.StringVar(&o.admin, "admin", "", "serve the status page at this loopback `address`, /status; further nodes take the following ports")
	f.StringVar(&o.bind, "bind", bindDefault, "the `address` at which nodes talk to each other, ip:port, TCP and UDP: open it between\n"+
		"the nodes only; further nodes take the following ports")
	f.StringVar(&o.advertise, "advertise", "", "the `address` at which other nodes reach this one, if it is not that of -bind (with -nodes 1)")
	f.StringVar(&o.name, "name", "", "the node's name, unique in the cluster (with -nodes 1); default: host name and a random part")
	f.StringVar(&x.join, "join", "", "`addresses` of other nodes (their -bind), host:port with commas between; best one name that\n"+
		"has all nodes' addresses (with -nodes 1)")
	f.StringVar(&x.secretFile, "secret-file", "", "`file` with the cluster's secret, instead of WEIR_SECRET; with -id-secret-file several, a line each: the\n"+
		"first is proved to other nodes, all are accepted; read again on SIGHUP")
	f.StringVar(&x.idFile, "id-secret-file", "", "`file` with the secret that stays when the others change: ids and what clients keep are made from it")
	f.StringVar(&x.split, "split", "full", "what a `side` of a split cluster admits: full, share or quorum")
	f.StringVar(&x.voters, "voters", "", "`names` of the nodes of which a majority decides with quorum, with commas between, the same on all\n"+
		"nodes; with -nodes above 1, its first five unless said otherwise")
	f.IntVar(&o.expected, "expected-nodes", 0, "how many nodes the whole cluster has; 0: learned")
	f.DurationVar(&o.timeout, "call-timeout", 0, "how long another node may take to answer before its successor is asked; 0: 100ms")
	f.DurationVar(&o.drain, "drain", drainDefault, "at the end: say that the node is not ready, and serve for this long, before HTTP closes")
	f.StringVar(&x.trusted, "trusted-proxies", "", "`networks` whose X-Forwarded-For is believed, with commas between")
	f.StringVar(&o.policy, "policy", "", "`file` with the policy, YAML or JSON, reloaded when it changes and on SIGHUP;\n"+
		"default: the reference policy")
	f.StringVar(&x.headers, "headers", "", "`forms` of the limit headers, with commas between: x-ratelimit (the default), x-ratelimit-seconds\n"+
		"(Reset in seconds from now), ietf, none; a policy file says it itself")
	f.StringVar(&x.signingFile, "signing-key", "", "PEM `file` with the private key that tokens are signed with, the same on all nodes: RSA (RS256)\n"+
		"or Ed25519; default: with -nodes 1 derived from the secret (EdDSA), else made at the start (RS256)")
	f.StringVar(&o.issuer, "issuer", "", "the `URL` of the service as clients know it, for tokens (iss) and consents; default: the address\n"+
		"of the first node")
	f.StringVar(&x.origins, "cors-origin", "", "`origins` whose scripts may use the service from a browser, with commas between; * for all")
	f.BoolVar(&o.try, "try", false, "send demonstration traffic, print what was admitted, exit 0 if it was exact;\n"+
		"without -http and -bind it uses ports that are free")
	f.BoolVar(&o.version, "version", false, "print weir's version and that of its wire, and exit")
}
