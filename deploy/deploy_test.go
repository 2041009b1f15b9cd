// Package deploy_test holds the manifests against the types of Kubernetes, against each other,
// and against the flags and paths of examples/authservice.
package deploy_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const leaveMax = 10 * time.Second // of the example, after its drain

// objects are those of a file, by kind and name. A field that its kind does not have is an error.
func objects(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatal(file, err)
		}
		x := map[string]any{"Service": new(corev1.Service), "StatefulSet": new(appsv1.StatefulSet), "Deployment": new(appsv1.Deployment),
			"NetworkPolicy": new(networkingv1.NetworkPolicy), "PodDisruptionBudget": new(policyv1.PodDisruptionBudget)}[head.Kind]
		if x == nil {
			t.Fatal(file, "has a", head.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, x); err != nil {
			t.Fatal(file, err)
		}
		all[head.Kind+" "+head.Metadata.Name] = x
	}
	return all
}

// flags are the names of the example's flags, as it tells them itself.
func flags(t *testing.T) map[string]bool {
	t.Helper()
	out, _ := exec.Command("go", "run", "-C", "..", "./examples/authservice", "-h").CombinedOutput()
	all := map[string]bool{}
	for _, f := range regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllSubmatch(out, -1) {
		all[string(f[1])] = true
	}
	if len(all) < 10 {
		t.Fatalf("no flags: %s", out)
	}
	return all
}

// values are those of a command line, of which each flag must exist.
func values(t *testing.T, args []string) map[string]string {
	t.Helper()
	known, set := flags(t), map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(strings.TrimPrefix(a, "-"), "=")
		if !known[name] || !ok {
			t.Errorf("the example has no flag %s", a)
		}
		set[name] = value
	}
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.Duration("drain", 0, "")
	if err := f.Parse([]string{"-drain=" + set["drain"]}); err != nil {
		t.Error(err)
	}
	return set
}

// grace checks that there is time for the drain and for what the node hands over.
func grace(t *testing.T, set map[string]string, given time.Duration) {
	t.Helper()
	drain, err := time.ParseDuration(set["drain"])
	if err != nil || given < drain+leaveMax {
		t.Errorf("%v to end, of which -drain takes %v, and leaving up to %v", given, drain, leaveMax)
	}
}

func TestKubernetes(t *testing.T) {
	common := objects(t, "kubernetes/common.yaml")
	set := objects(t, "kubernetes/statefulset.yaml")["StatefulSet weir"].(*appsv1.StatefulSet)
	deployment := objects(t, "kubernetes/deployment.yaml")["Deployment weir"].(*appsv1.Deployment)
	nodes := common["Service weir-nodes"].(*corev1.Service)
	if nodes.Spec.ClusterIP != "None" || !nodes.Spec.PublishNotReadyAddresses || set.Spec.ServiceName != nodes.Name {
		t.Error("the nodes' service is not one that nodes which are not ready find each other by")
	}
	if set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		t.Error("the first pod would wait for ever for the second, which waits for the first")
	}
	var voters []string
	for i := range *set.Spec.Replicas {
		voters = append(voters, fmt.Sprint(set.Name, "-", i))
	}
	for kind, pod := range map[string]corev1.PodTemplateSpec{"StatefulSet": set.Spec.Template, "Deployment": deployment.Spec.Template} {
		t.Run(kind, func(t *testing.T) {
			c := pod.Spec.Containers[0]
			args := values(t, c.Args)
			grace(t, args, time.Duration(*pod.Spec.TerminationGracePeriodSeconds)*time.Second)
			if args["join"] != "dns:"+nodes.Name+":7946" || args["bind"] != ":7946" || args["advertise"] != "$(POD_IP):7946" || args["name"] != "$(POD_NAME)" {
				t.Errorf("%v", args)
			}
			want := map[string]string{"StatefulSet": strings.Join(voters, ",")}[kind]
			if args["voters"] != want || args["expected-nodes"] != fmt.Sprint(*set.Spec.Replicas) {
				t.Errorf("voters %q, expected %s", args["voters"], args["expected-nodes"])
			}
			if v := c.VolumeMounts[0]; args["secret-file"] != v.MountPath+"/secret" || pod.Spec.Volumes[0].Secret.SecretName != "weir" {
				t.Errorf("the secret is not at %s", args["secret-file"])
			}
			ports := portsOf(c.Ports)
			for _, want := range []string{"http 8080 TCP", "weir 7946 TCP", "weir-gossip 7946 UDP"} {
				if !slices.Contains(ports, want) {
					t.Errorf("no port %s", want)
				}
			}
			for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if p == nil || p.HTTPGet.Port.String() != "http" {
					t.Fatal("a probe is missing")
				}
			}
			if c.ReadinessProbe.HTTPGet.Path != "/health" || c.LivenessProbe.HTTPGet.Path != "/health/live" {
				t.Error("who drains or leaves is not dead")
			}
			for _, s := range []map[string]string{nodes.Spec.Selector, common["Service weir"].(*corev1.Service).Spec.Selector,
				common["PodDisruptionBudget weir"].(*policyv1.PodDisruptionBudget).Spec.Selector.MatchLabels,
				common["NetworkPolicy weir"].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels} {
				for k, v := range s {
					if pod.Labels[k] != v {
						t.Errorf("%v does not select %v", s, pod.Labels)
					}
				}
			}
		})
	}
	policy := common["NetworkPolicy weir"].(*networkingv1.NetworkPolicy).Spec.Ingress
	if len(policy) != 2 || len(policy[0].From) != 0 || len(policy[1].From) != 1 {
		t.Error("HTTP is for all, the cluster's port for nodes")
	}
	for _, p := range policy[0].Ports {
		if p.Port.String() != "http" {
			t.Errorf("port %v is open to all", p.Port)
		}
	}
	if p := policy[1].Ports; len(p) != 2 || *p[0].Protocol != corev1.ProtocolTCP || *p[1].Protocol != corev1.ProtocolUDP {
		t.Error("nodes need TCP and UDP")
	}
}

func portsOf(ports []corev1.ContainerPort) (all []string) {
	for _, p := range ports {
		all = append(all, fmt.Sprint(p.Name, " ", p.ContainerPort, " ", p.Protocol))
	}
	return all
}

func TestCompose(t *testing.T) {
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Command         []string
			Networks        map[string]struct{ Aliases []string }
			StopGracePeriod string `json:"stop_grace_period"`
			Ports           []string
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 3 {
		t.Fatalf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		args := values(t, s.Command)
		given, err := time.ParseDuration(s.StopGracePeriod)
		if err != nil {
			t.Error(err)
		}
		grace(t, args, given)
		if args["name"] != name || args["expected-nodes"] != "3" || args["join"] != "dns:weir:7946" || !slices.Contains(s.Networks["cluster"].Aliases, "weir") {
			t.Errorf("%s: %v", name, args)
		}
		if args["secret-file"] != "/run/secrets/weir" || c.Secrets["weir"].File == "" || !strings.HasSuffix(s.Ports[0], args["http"]) {
			t.Errorf("%s: %v", name, args)
		}
	}
}

func TestSystemd(t *testing.T) {
	text, err := os.ReadFile("systemd/authservice.service")
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=\S+ (.*)$`).FindSubmatch(text)
	args := values(t, strings.Fields(string(start[1])))
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(text)
	given, _ := time.ParseDuration(string(stop[1]) + "s")
	grace(t, args, given)
	if !bytes.Contains(text, []byte("\nLoadCredential=secret:")) || args["secret-file"] != "${CREDENTIALS_DIRECTORY}/secret" {
		t.Error("the secret is no credential")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip(err)
	}
	unit := t.TempDir() + "/authservice.service"
	there := bytes.Replace(text, []byte("/usr/local/bin/authservice"), []byte("/bin/true"), 1)
	if err := os.WriteFile(unit, there, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)
	if !bytes.Contains(text, append([]byte("FROM golang:"), version[1]...)) {
		t.Errorf("go.mod wants %s", version[1])
	}
	if !bytes.Contains(text, []byte("./examples/authservice\n")) || !bytes.Contains(text, []byte("\nUSER 65532")) {
		t.Error("it does not build the example, or runs it as root")
	}
}
