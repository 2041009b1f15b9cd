package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const childEnv = "WEIR_EXAMPLE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is one node, a process of its own.
type child struct {
	cmd               *exec.Cmd
	http, show, inner string
}

func startChild(t *testing.T, join string) child {
	cmd := exec.Command(os.Args[0], "-join", join)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c := child{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, err = fmt.Sscan(line, &c.http, &c.show, &c.inner)
	require.NoError(t, err, line)
	return c
}

// A real Prometheus scrapes three nodes, one of which is killed: each query of the dashboard
// gives something, each alert is evaluated, and those fire that a killed node should raise.
func TestPrometheus(t *testing.T) {
	if _, err := exec.LookPath("prometheus"); err != nil && os.Getenv("WEIR_REQUIRE_PROMETHEUS") == "" || testing.Short() {
		t.Skip("no prometheus: apt-get install prometheus; or -short")
	}
	a := startChild(t, "")
	nodes := []child{a, startChild(t, a.inner), startChild(t, a.inner)}
	p := startPrometheus(t, nodes)
	load := func() { // from several clients, more than the limit of one
		for i := range 30 {
			resp, err := http.Get("http://" + nodes[i%2].http)
			require.NoError(t, err)
			resp.Body.Close()
		}
	}
	p.until(t, "three nodes are scraped and whole", func() bool {
		load()
		return p.value(`sum(weir_members_live)`) == 9 && p.value(`sum(rate(weir_decisions_total{outcome="denied"}[5s]))`) > 0
	})
	require.Zero(t, p.value(`max(weir_overshoot_bound)`), "in health")
	require.EqualValues(t, 1021, p.value(`sum(weir_partitions_held)`))

	require.NoError(t, nodes[2].cmd.Process.Kill())
	fires := map[string]bool{"WeirMembersMissing": true, "WeirOvershootPossible": true}
	p.until(t, "the alerts of a killed node fire", func() bool {
		load()
		for name := range fires {
			if p.value(`count(ALERTS{alertname="`+name+`",alertstate="firing"})`) < 1 {
				return false
			}
		}
		return true
	})
	require.EqualValues(t, 100, p.value(`max(weir_overshoot_bound{rule="default"})`), "one node missing, split: full")
	for _, q := range queries(t) {
		expr := filled.Replace(q.expr)
		got, err := p.query(expr)
		require.NoError(t, err, q)
		require.NotEmpty(t, got, q)
		t.Logf("| %s | `%s` | %d | %s |", q.panel, strings.ReplaceAll(expr, "|", `\|`), len(got), got[0])
	}
	p.alerts(t, fires)
}

// query is one of the dashboard's, on one of its panels.
type query struct{ panel, expr string }

func queries(t *testing.T) (all []query) {
	b, err := os.ReadFile("../dashboard.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(b, &d))
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{panel.Title, target.Expr})
		}
	}
	require.Greater(t, len(all), 20)
	return all
}

// filled has what a viewer chooses in the place of a query's variables.
var filled = strings.NewReplacer("$__rate_interval", "5s", "$job", ".*", "$instance", ".*")

// Every query of the dashboard is on the page that shows what they gave.
func TestQueriesAreShown(t *testing.T) {
	page, err := os.ReadFile("../QUERIES.md")
	require.NoError(t, err)
	short := strings.NewReplacer(`{job=~"$job",instance=~"$instance"}`, "", `job=~"$job",instance=~"$instance",`, "", "$__rate_interval", "…", "|", `\|`)
	panel := ""
	for _, q := range queries(t) {
		if q.panel != panel {
			panel = q.panel
			require.True(t, strings.Contains(string(page), "| "+panel+" |"), panel)
		}
		require.True(t, strings.Contains(string(page), "| `"+short.Replace(q.expr)+"` |"), q.expr)
	}
}

type prom struct{ url string }

var waits = regexp.MustCompile(`(?m)^(\s+)for: .*$`)

func startPrometheus(t *testing.T, nodes []child) prom {
	dir := t.TempDir()
	rules, err := os.ReadFile("../alerts.yaml")
	require.NoError(t, err)
	// An alert waits for a while, to be sure; here all else is as in the file.
	rules = waits.ReplaceAll(rules, []byte("${1}for: 0s"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), rules, 0o600))
	var targets []string
	for _, n := range nodes {
		targets = append(targets, "'"+n.show+"'")
	}
	config := "global: {scrape_interval: 250ms, evaluation_interval: 250ms}\nrule_files: [alerts.yaml]\n" +
		"scrape_configs: [{job_name: weir, metrics_path: /, static_configs: [{targets: [" + strings.Join(targets, ", ") + "]}]}]\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s", b)
		}
		log.Close()
	})
	return prom{"http://" + addr}
}

func (p prom) get(path string, into any) error {
	resp, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// query gives the values of a query's series.
func (p prom) query(q string) (values []string, err error) {
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	err = p.get("/api/v1/query?query="+url.QueryEscape(q), &answer)
	for _, r := range answer.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, err
}

// value is the value of a query of one series; -1 if there is none.
func (p prom) value(q string) float64 {
	values, err := p.query(q)
	if err != nil || len(values) != 1 {
		return -1
	}
	var v float64
	fmt.Sscan(values[0], &v)
	return v
}

func (p prom) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(40 * time.Second); !ok(); <-poll.C {
		require.True(t, time.Now().Before(end), what)
	}
}

// alerts looks at each rule: evaluated without an error, and firing as it should.
func (p prom) alerts(t *testing.T, fires map[string]bool) {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health, LastError string }
			}
		}
	}
	require.NoError(t, p.get("/api/v1/rules", &answer))
	n := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			n++
			require.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
			t.Logf("%-24s %s", r.Name, r.State)
			if fires[r.Name] {
				require.Equal(t, "firing", r.State, r.Name)
			}
			if never := strings.Contains("WeirKeysEvicted WeirFailingOpen WeirUnavailable WeirHookPanics WeirVoterListsDiffer WeirNotReady WeirWallClockWrong", r.Name); never {
				require.Equal(t, "inactive", r.State, r.Name)
			}
		}
	}
	require.GreaterOrEqual(t, n, 20)
}
