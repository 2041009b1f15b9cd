package status_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

var update = flag.Bool("update", false, "write the golden file anew")

// fake is a node of which everything is known. It decides by itself.
type fake struct {
	*limiter.Local
	mu      sync.Mutex // guards stats
	stats   cluster.Stats
	well    cluster.Condition
	members []cluster.Member
	fails   string // part of the keys that it cannot explain, if any
}

func newFake() *fake {
	return &fake{Local: limiter.NewLocal(limiter.Config{}),
		stats: cluster.Stats{Live: 2, Known: 3, Unreachable: 1, Holding: 500, Pending: 3, Forwarded: 7, Failovers: 5, Degraded: 2, RingChanges: 4,
			Behind: 1500 * time.Millisecond, Stats: limiter.Stats{Evicted: 6}},
		well: cluster.Condition{Ready: true, Reasons: []string{"2 of 3 known nodes are seen"}},
		members: []cluster.Member{
			{Name: "a", Addr: "192.0.2.1:7946", Self: true, Version: "0.9.0", State: "living", Age: time.Hour, SameTime: true, Partitions: 511, ClockOffset: -time.Millisecond},
			{Name: "b", Addr: "192.0.2.2:7946", State: "quiet", Unreachable: true, RoundTrip: 300 * time.Microsecond, Partitions: 510},
		}}
}

func (*fake) Name() string                   { return "a" }
func (*fake) Addr() string                   { return "192.0.2.1:7946" }
func (*fake) KeyID(key string) uint64        { return uint64(len(key)) }
func (f *fake) Condition() cluster.Condition { return f.well }
func (f *fake) Members() []cluster.Member    { return f.members }
func (f *fake) Stats() cluster.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *fake) Unreachable(context.Context) map[string][]string {
	return map[string][]string{"c": {"b"}, "a": {"b"}, "d": {}}
}
func (f *fake) Overshoot(l limiter.Limit) int64 { return 2 * l.Quota }
func (f *fake) Explain(ctx context.Context, key string, l limiter.Limit) (cluster.Explanation, error) {
	if f.fails != "" && strings.Contains(key, f.fails) {
		return cluster.Explanation{}, errors.New("no majority")
	}
	d, err := f.Take(ctx, key, l, 0)
	return cluster.Explanation{Partition: 7, Owner: "a", Holder: "a", Term: 3, Copies: []string{"b"}, Decision: d,
		Counts: []cluster.Counted{{Node: "a", Taken: 3}}, Leases: []cluster.Leased{{Node: "b", Slice: 20}}}, err
}

// lab is a page over a policy of two rules, and a client that keeps cookies.
type lab struct {
	t      testing.TB
	page   *status.Page
	guard  *middleware.Middleware
	server *httptest.Server
	client *http.Client
}

func newLab(t testing.TB, node *fake, c status.Config, edit func(*middleware.Policy)) *lab {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := &lab{t: t, page: status.Handler(node, c)}
	t.Cleanup(l.page.Close)
	p := middleware.Policy{
		Always:     []middleware.Rule{{Name: "all", Limit: limiter.Per(1000, time.Hour), Key: middleware.Shared()}},
		Default:    []middleware.Rule{{Name: "login", Limit: limiter.Per(3, time.Hour), Key: middleware.Header("X-User")}},
		OnDecision: l.page.OnDecision,
	}
	if edit != nil {
		edit(&p)
	}
	guard, err := middleware.New(node, p)
	require.NoError(t, err)
	l.guard = guard
	l.page.Guard(guard)
	l.server = httptest.NewServer(l.page)
	t.Cleanup(l.server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	l.client = &http.Client{Jar: jar}
	return l
}

// visit sends so many requests of a user through the middleware.
func (l *lab) visit(user string, times int) {
	h := l.guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range times {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-User", user)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func (l *lab) do(r *http.Request) (int, string, http.Header) {
	answer, err := l.client.Do(r)
	require.NoError(l.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(l.t, err)
	return answer.StatusCode, string(body), answer.Header
}

func (l *lab) get(query string) (int, string, http.Header) {
	r, err := http.NewRequest("GET", l.server.URL+"/"+query, nil)
	require.NoError(l.t, err)
	return l.do(r)
}

func (l *lab) post(query string, form url.Values, edit ...func(*http.Request)) (int, string) {
	r, err := http.NewRequest("POST", l.server.URL+"/"+query, strings.NewReader(form.Encode()))
	require.NoError(l.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range edit {
		f(r)
	}
	code, body, _ := l.do(r)
	return code, body
}

func (l *lab) report(form url.Values) (r status.Report) {
	code, body := 0, ""
	if form == nil {
		code, body, _ = l.get("?format=json")
	} else {
		code, body = l.post("?format=json", form)
	}
	require.Equal(l.t, 200, code, body)
	unmarshal(l.t, []byte(body), &r)
	return r
}

func unmarshal(t testing.TB, text []byte, r *status.Report) {
	require.NoError(t, json.Unmarshal(text, r), "%s", text)
}

// The JSON has this shape: who reads it relies on it.
func TestJSONIsThatOfTheGoldenFile(t *testing.T) {
	l := newLab(t, newFake(), status.Config{}, nil)
	l.visit("alice", 5)
	code, body := l.post("?format=json", url.Values{"rule": {"login"}, "subject": {"alice"}})
	require.Equal(t, 200, code)
	for _, volatile := range []string{`"at": "[^"]+"`, `"(now|mean)_per_second": [^,]+`, `(?s)"per_second": \[[^]]*\]`, `"(reset_after|wait)_seconds": [0-9.]+`} {
		body = regexp.MustCompile(volatile).ReplaceAllStringFunc(body, func(s string) string { return s[:strings.Index(s, ":")] + `: "…"` })
	}
	const file = "testdata/report.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(body), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), body)
}

// What comes from outside cannot become a part of the page, wherever it is shown.
func TestHostileNamesAreEscaped(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}`
	n := newFake()
	n.members[1].Name, n.members[1].Version, n.members[1].State, n.members[1].Addr = evil+"n", evil+"v", evil+"s", evil+"a"
	n.well.Reasons = []string{evil + "r"}
	l := newLab(t, n, status.Config{ShowKeys: true}, func(p *middleware.Policy) { p.RevealKeys = true })
	l.visit(evil+"u", 4)
	_, page := l.post("", url.Values{"rule": {evil}, "subject": {evil + "q"}})
	for _, which := range "nvsaruq" {
		assert.Contains(t, page, "{{.}}"+string(which), "it is shown")
	}
	assert.Equal(t, 1, strings.Count(page, "<script"), "ours")
	assert.NotContains(t, page, "<img")
	assert.NotContains(t, page, `"'>`)
}

// A raw key is on the page where both the policy and the page allow it, and else an id that is the same
// everywhere.
func TestNoRawKeyUnlessAllowed(t *testing.T) {
	for _, reveal := range []bool{false, true} {
		for _, show := range []bool{false, true} {
			l := newLab(t, newFake(), status.Config{ShowKeys: show}, func(p *middleware.Policy) { p.RevealKeys = reveal })
			l.visit("alice@example.org", 5)
			_, page, _ := l.get("")
			_, text, _ := l.get("?format=json")
			assert.Equal(t, reveal && show, strings.Contains(page, "alice"), "%v %v", reveal, show)
			assert.Equal(t, reveal && show, strings.Contains(text, "alice"), "%v %v", reveal, show)
			r := l.report(nil)
			id, err := l.guard.KeyID("login", "alice@example.org")
			require.NoError(t, err)
			require.Len(t, r.Denied.Keys, 1)
			assert.Equal(t, fmt.Sprintf("%016x", id), r.Denied.Keys[0].ID)
			assert.EqualValues(t, 2, r.Denied.Keys[0].Count)
			assert.Equal(t, "login", r.Denied.Keys[0].Rule)
		}
	}
}

// Explaining counts nothing, at the limiter, in the events and in the lists.
func TestExplainCountsNothing(t *testing.T) {
	l := newLab(t, newFake(), status.Config{}, nil)
	l.visit("alice", 1)
	before := l.report(nil)
	ask := url.Values{"subject": {"alice"}}
	for range 5 {
		x := l.report(ask).Explained
		require.Len(t, x.Rules, 2, "all rules")
		assert.Empty(t, x.Denies)
		assert.EqualValues(t, 2, x.Rules[1].Budgets[0].Remaining)
		assert.Equal(t, []string{"b"}, x.Rules[1].Copies)
		assert.EqualValues(t, 3, x.Rules[1].Term)
	}
	after := l.report(nil)
	assert.Equal(t, before.Taken, after.Taken)
	assert.Equal(t, before.Rules, after.Rules)
	l.visit("alice", 2)
	assert.Equal(t, []string{"login"}, l.report(ask).Explained.Denies)
	assert.NotEmpty(t, l.report(url.Values{"rule": {"nonesuch"}}).Explained.Error)
}

// What the answer says is of budgets that requests spend: a shared one is everybody's, and of a rule under
// which nobody can be that subject, or that was not asked, nothing is said.
func TestExplainSaysNothingOfNobody(t *testing.T) {
	l := newLab(t, newFake(), status.Config{AllowReset: true}, func(p *middleware.Policy) {
		p.Always[0].Limit = limiter.Per(2, time.Hour)
		p.Default = append(p.Default,
			middleware.Rule{Name: "pair", Limit: limiter.Per(9, time.Hour), Key: middleware.Join(middleware.Header("A"), middleware.Header("B"))},
			middleware.Rule{Name: "never", Limit: limiter.Per(0, time.Hour), Key: middleware.Header("C"), Absent: middleware.AbsentSkip},
			middleware.Rule{Name: "watched", Limit: limiter.Per(1, time.Hour), Key: middleware.Header("X-User"), Shadow: true})
	})
	l.visit("alice", 3)
	const fine = "No rule would refuse"
	x := l.report(url.Values{"subject": {"alice"}}).Explained
	require.Len(t, x.Rules, 5)
	assert.Equal(t, []string{"all", "never"}, x.Denies)
	assert.Contains(t, x.Rules[3].Error, "the number of words for join(header A, header B) is 2, not 1")
	assert.True(t, x.Rules[4].Shadow && x.Rules[4].Refuses, "it would, but for that")
	_, page := l.post("", url.Values{"rule": {"watched"}, "subject": {"alice"}})
	assert.Contains(t, page, fine)
	assert.Contains(t, page, "in shadow: it refuses nobody")
	_, text := l.post("?format=json", url.Values{"subject": {"alice"}})
	assert.NotContains(t, text, "null")
	_, page = l.post("", url.Values{"rule": {"never"}, "subject": {"alice"}})
	assert.NotContains(t, page, ", partition 0", "it has no budget")
	for _, subject := range []string{"alice", "alice\n\nb\nc"} {
		_, page := l.post("", url.Values{"rule": {"pair"}, "subject": {subject}})
		assert.NotContains(t, page, fine, subject)
		assert.Contains(t, page, "the number of words", subject)
	}
	_, page = l.post("", url.Values{"rule": {"pair"}, "subject": {"a\r\nb"}})
	assert.Contains(t, page, fine)
	_, page = l.post("", url.Values{"rule": {"login"}})
	assert.Contains(t, page, fine+" a request without a key")

	_, page, _ = l.get("")
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)[1]
	for rule, subject := range map[string]string{"all": "alice", "pair": "alice"} {
		code, body := l.post("", url.Values{"action": {"reset"}, "rule": {rule}, "subject": {subject}, "token": {token}})
		assert.Equal(t, 400, code, body)
	}
	assert.Equal(t, []string{"all"}, l.report(url.Values{"rule": {"all"}}).Explained.Denies)
	code, body := l.post("", url.Values{"action": {"reset"}, "rule": {"all"}, "token": {token}})
	assert.Equal(t, 200, code, body)
	assert.Empty(t, l.report(url.Values{"rule": {"all"}}).Explained.Denies)
}

// A rule that cannot be decided keeps none of the others from an answer, and none is taken for one.
func TestExplainGoesOnAfterAnError(t *testing.T) {
	n := newFake()
	l := newLab(t, n, status.Config{}, nil)
	n.fails = "all"
	l.visit("alice", 4)
	x := l.report(url.Values{"subject": {"alice"}}).Explained
	require.Len(t, x.Rules, 2)
	assert.Equal(t, "no majority", x.Rules[0].Error)
	assert.Empty(t, x.Rules[1].Error)
	assert.Equal(t, []string{"login"}, x.Denies)
	_, page := l.post("", url.Values{"subject": {"bob"}})
	assert.NotContains(t, page, "No rule would refuse")
	assert.Contains(t, page, "No answer: no majority.")
}

// Whatever a node counts of what it did not believe is on the page, and so is all that it turned away.
func TestAllThatWasRefusedIsCounted(t *testing.T) {
	for _, field := range []string{"Refused", "TurnedAway"} {
		n := newFake()
		fields := reflect.ValueOf(&n.stats).Elem().FieldByName(field)
		for i := range fields.NumField() {
			fields.Field(i).SetInt(1 << i)
		}
		name := map[string]string{"Refused": "not_believed", "TurnedAway": "strangers"}[field]
		for _, c := range newLab(t, n, status.Config{}, nil).report(nil).Counters {
			if c.Name == name {
				assert.EqualValues(t, 1<<fields.NumField()-1, c.Value, name)
				name = ""
			}
		}
		assert.Empty(t, name, "it is shown")
	}
}

// Of more rules than are asked at a time the answer does not speak for the rest.
func TestExplainOfManyRules(t *testing.T) {
	l := newLab(t, newFake(), status.Config{}, func(p *middleware.Policy) {
		for i := range 60 {
			p.Default = append(p.Default, middleware.Rule{Name: fmt.Sprintf("r%d", i), Limit: limiter.Per(9, time.Hour), Key: middleware.Header("A")})
		}
	})
	_, page := l.post("", url.Values{"subject": {"alice"}})
	assert.NotContains(t, page, "No rule would refuse")
	assert.Contains(t, page, "only the first 50 of 62 rules were asked: name one")
}

// A body that is no form is no question.
func TestFormOnly(t *testing.T) {
	l := newLab(t, newFake(), status.Config{}, nil)
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", ""} {
		code, body := l.post("", url.Values{"rule": {"login"}, "subject": {"alice"}}, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
		assert.Equal(t, 400, code, kind)
		assert.NotContains(t, body, "would refuse", kind)
	}
}

// A reset needs the option, the token of this browser's page, and no other site behind it.
func TestResetNeedsToken(t *testing.T) {
	token := regexp.MustCompile(`name="token" value="([^"]+)"`)
	form := func(token string) url.Values {
		return url.Values{"action": {"reset"}, "rule": {"login"}, "subject": {"alice"}, "token": {token}}
	}
	left := func(l *lab) int64 {
		return l.report(url.Values{"rule": {"login"}, "subject": {"alice"}}).Explained.Rules[0].Budgets[0].Remaining
	}
	off := newLab(t, newFake(), status.Config{}, nil)
	_, page, _ := off.get("")
	assert.NotContains(t, page, `name="token"`)
	assert.NotContains(t, page, "Reset")
	code, _ := off.post("", form("x"))
	assert.Equal(t, 403, code)

	l, other := newLab(t, newFake(), status.Config{AllowReset: true}, nil), newLab(t, newFake(), status.Config{AllowReset: true}, nil)
	l.visit("alice", 5)
	_, page, header := l.get("")
	require.Contains(t, header.Get("Set-Cookie"), "HttpOnly; SameSite=Strict")
	mine := token.FindStringSubmatch(page)[1]
	_, page, _ = other.get("")
	foreign := token.FindStringSubmatch(page)[1]
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name  string
		token string
		edit  []func(*http.Request)
	}{
		{"no token", "", nil}, {"a token of another process", foreign, nil}, {"a token that was changed", mine + "x", nil},
		{"another origin", mine, []func(*http.Request){set("Origin", "https://evil.example")}},
		{"another site", mine, []func(*http.Request){set("Sec-Fetch-Site", "cross-site")}},
	} {
		code, body := l.post("", form(c.token), c.edit...)
		assert.Equal(t, 403, code, "%s: %s", c.name, body)
		assert.Zero(t, left(l), c.name)
	}
	jar := l.client.Jar
	l.client.Jar = nil
	code, _ = l.post("", form(mine))
	assert.Equal(t, 403, code, "the cookie is missing")
	l.client.Jar = jar
	code, body := l.post("", form(mine))
	assert.Equal(t, 200, code, body)
	assert.Contains(t, body, "The budget is whole again")
	assert.EqualValues(t, 3, left(l))
}

// No other document is loaded, nobody frames the page or keeps it.
func TestHeaders(t *testing.T) {
	l := newLab(t, newFake(), status.Config{AllowReset: true}, nil)
	code, page, h := l.get("")
	require.Equal(t, 200, code)
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
		assert.Contains(t, csp, want)
	}
	assert.NotContains(t, csp, "unsafe")
	for _, element := range []string{"style", "script"} {
		text := regexp.MustCompile(`(?s)<` + element + `>(.*)</` + element + `>`).FindStringSubmatch(page)[1]
		sum := sha256.Sum256([]byte(text))
		assert.Contains(t, csp, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	assert.Equal(t, "no-store", h.Get("Cache-Control"))
	assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	assert.NotRegexp(t, `(src|href)=|url\(|@import| style=| on[a-z]+=`, page)
	r, err := http.NewRequest("DELETE", l.server.URL, nil)
	require.NoError(t, err)
	code, _, _ = l.do(r)
	assert.Equal(t, 405, code)
	code, _ = l.post("", url.Values{"subject": {strings.Repeat("x", 5000)}})
	assert.Equal(t, 400, code)
	code, _ = l.post("", url.Values{"subject": {strings.Repeat("x", 100_000)}})
	assert.Equal(t, 400, code)
	code, _ = l.post("", url.Values{"action": {"drop"}})
	assert.Equal(t, 400, code)
}
