package policyfile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

var update = flag.Bool("update", false, "write the tables of docs/policy-file.md anew")

const page = "../../docs/policy-file.md"

type object = map[string]any

// objects are what a file consists of, by the name of the marker in the page: where the
// schema has it, and a whole file in which it has one field more than it needs.
var objects = map[string]struct {
	def  string
	file func(field string, value any) object
}{
	"file": {"", func(field string, value any) object {
		return with(object{"default": []any{rule()}}, field, value)
	}},
	"route": {"route", func(field string, value any) object {
		r := with(object{"pattern": "/v1/{id}", "rules": []any{rule()}}, field, value)
		if value == true { // exempt
			delete(r, "rules")
		}
		other := with(rule(), "name", "other")
		return object{"default": []any{other}, "routes": []any{r}}
	}},
	"rule": {"rule", func(field string, value any) object {
		r := with(rule(), field, value)
		switch field {
		case "burst":
			r["algorithm"] = "token-bucket"
		case "plan":
			r["plans"] = object{"pro": object{"quota": 9}}
		case "plans":
			r["plan"] = object{"claim": "plan"}
		case "rate":
			delete(r, "quota")
			delete(r, "window")
		case "align":
			delete(r, "window")
		case "zone":
			r["align"] = "day"
			delete(r, "window")
		}
		return routed(r)
	}},
	"ban": {"ban", func(field string, value any) object {
		return routed(with(rule(), "ban", with(object{"after": 5, "for": "1s"}, field, value)))
	}},
	"plan": {"plan", func(field string, value any) object {
		r := with(rule(), "plan", object{"claim": "plan"})
		pro := with(object{"quota": 9}, field, value)
		r["plans"] = object{"pro": pro}
		switch field {
		case "rate":
			delete(pro, "quota")
		case "burst":
			r["algorithm"] = "token-bucket"
		case "algorithm":
			r["algorithm"] = value
		case "align", "zone":
			r["align"], r[field] = "day", value
			delete(r, "window")
		}
		return routed(r)
	}},
	"domain": {"domain", func(field string, value any) object {
		d := object{"domain": "edge", "descriptors": []any{object{"key": "k", "rule": rule()}}}
		return object{"domains": []any{with(d, field, value)}}
	}},
	"descriptor": {"descriptor", func(field string, value any) object {
		d := with(object{"key": "k", "rule": rule()}, field, value)
		if value == true { // unlimited
			delete(d, "rule")
		}
		return object{"domains": []any{object{"domain": "edge", "descriptors": []any{d}}}}
	}},
	"match": {"match", func(field string, value any) object {
		m := with(object{"key": "subject", "subjects": []any{"ann"}}, field, value)
		return object{"default": []any{rule()}, "deny": []any{m}}
	}},
	"key": {"key", func(field string, value any) object {
		return routed(with(rule(), "key", object{field: value}))
	}},
	"address": {"address", func(field string, value any) object {
		a := with(object{}, field, value)
		if field == "header" {
			a["trusted"] = []any{"unix"}
		}
		return object{"default": []any{rule()}, "address": a}
	}},
}

func rule() object { return object{"name": "doc", "quota": 5000, "window": "1m"} }

// routed is a file with a rule of a route that has a wildcard.
func routed(rule object) object {
	return object{"routes": []any{object{"pattern": "/v1/{id}", "rules": []any{rule}}}}
}

// with adds a field to o, unless it is nil.
func with(o object, field string, value any) object {
	if value != nil {
		o[field] = value
	}
	return o
}

// properties are the fields of an object of the schema.
func properties(def string) (fields map[string]any, required []any) {
	o := schemaRoot()
	if def != "" {
		o = o["$defs"].(map[string]any)[def].(map[string]any)
	}
	if of, ok := o["oneOf"].([]any); ok {
		o = of[len(of)-1].(map[string]any)
	}
	required, _ = o["required"].([]any)
	return o["properties"].(map[string]any), required
}

// inOrder are the names of an object's fields in the order of the schema's text, which is
// that of a reader.
func inOrder(t *testing.T, fields map[string]any) (names []string) {
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal(policyfile.Schema(), &root))
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "properties" {
				var here []string
				for k := 0; k < len(c.Content); k += 2 {
					here = append(here, c.Content[k].Value)
				}
				if text, _ := json.Marshal(fields); sameJSON(t, text, c) {
					names = here
				}
			}
			visit(c)
		}
	}
	visit(&root)
	require.Len(t, names, len(fields))
	return names
}

// sameJSON reports whether a node has the value of a text.
func sameJSON(t *testing.T, text []byte, n *yaml.Node) bool {
	var v, plain any
	require.NoError(t, n.Decode(&v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &plain))
	b, err = json.Marshal(plain)
	require.NoError(t, err)
	return bytes.Equal(b, text)
}

// kind says in words what a field's value is.
func kind(s map[string]any) string {
	if ref, ok := s["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		switch name {
		case "rules", "keys", "descriptors":
			return "list of " + name
		case "match":
			return "network, or " + name
		case "route", "rule", "key", "plan", "ban", "address", "domain", "descriptor":
			return name
		case "window":
			return "duration"
		case "custom":
			return "`{custom: NAME}`"
		}
		return kind(schemaRoot()["$defs"].(map[string]any)[name].(map[string]any))
	}
	if words, ok := s["enum"].([]any); ok {
		var b []string
		for _, w := range words {
			b = append(b, fmt.Sprintf("`%v`", w))
		}
		return strings.Join(b, ", ")
	}
	if of, ok := s["oneOf"].([]any); ok {
		var b []string
		for _, one := range of {
			b = append(b, kind(one.(map[string]any)))
		}
		return strings.Join(b, ", or ")
	}
	switch s["type"] {
	case "array":
		return "list: " + kind(s["items"].(map[string]any))
	case "integer":
		return fmt.Sprintf("whole number, %.0f to %.0f", s["minimum"], s["maximum"])
	case "boolean":
		return "`true`, `false`"
	case "object":
		if more, ok := s["additionalProperties"].(map[string]any); ok {
			return kind(more) + " by name"
		}
		p, _ := s["properties"].(map[string]any)
		var b []string
		for _, name := range slices.Sorted(maps.Keys(p)) {
			b = append(b, fmt.Sprintf("`{%s: …}`, %s", name, kind(p[name].(map[string]any))))
		}
		return strings.Join(b, ", or ")
	case "string":
		return "text"
	}
	return "anything"
}

var plainText = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9 ./_-]*$`)

// flow writes a value as one line of YAML.
func flow(v any) string {
	var parts []string
	switch v := v.(type) {
	case string:
		if _, err := strconv.ParseFloat(v, 64); err != nil && plainText.MatchString(v) {
			return v
		}
		return strconv.Quote(v)
	case []any:
		for _, e := range v {
			parts = append(parts, flow(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		first := []string{"name", "pattern", "quota", "window"}
		for _, k := range slices.SortedFunc(maps.Keys(v), func(a, b string) int {
			ia, ib := slices.Index(first, a), slices.Index(first, b)
			if uint(ia) != uint(ib) {
				return int(min(uint(ia), 99)) - int(min(uint(ib), 99))
			}
			return strings.Compare(a, b)
		}) {
			parts = append(parts, k+": "+flow(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// table is the table of an object's fields.
func table(t *testing.T, def string) string {
	fields, required := properties(def)
	var b strings.Builder
	b.WriteString("| field | value | default | what it says | for example |\n|---|---|---|---|---|\n")
	for _, name := range inOrder(t, fields) {
		f := fields[name].(map[string]any)
		text, _ := f["description"].(string)
		require.NotEmpty(t, text, "%s.%s has no description in the schema", def, name)
		initial := "—"
		if d, ok := f["default"]; ok {
			initial = "`" + flow(d) + "`"
		}
		if slices.Contains(required, any(name)) {
			initial = "**required**"
		}
		var examples []string
		for _, e := range f["examples"].([]any) {
			examples = append(examples, fmt.Sprintf("`%s: %s`", name, flow(e)))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, kind(f), initial, text, strings.Join(examples, "<br>"))
	}
	return b.String()
}

// mistakes are the errors that the page shows.
var mistakes = []struct{ what, text string }{
	{"a misspelt field", "default:\n  - name: a\n    qouta: 5\n    window: 1m\n"},
	{"a field forgotten", "default:\n  - name: a\n    quota: 5\n"},
	{"a number that is not decimal", "default: [{name: a, quota: 020, window: 1m}]\n"},
	{"a duration without a unit", "default: [{name: a, quota: 5, window: 90}]\n"},
	{"a window too long", "default: [{name: a, quota: 5, window: 53w}]\n"},
	{"a rate without a unit", "default: [{name: a, rate: 5/90}]\n"},
	{"a rate and a window", "default: [{name: a, rate: 5/s, window: 1m}]\n"},
	{"a day of 24 hours", "default: [{name: a, quota: 5, window: 1d, align: day}]\n"},
	{"a zone that nobody knows", "default: [{name: a, quota: 5, align: day, zone: Berlin}]\n"},
	{"an unknown word", "default: [{name: a, quota: 5, window: 1m, algorithm: leaky-bucket}]\n"},
	{"a burst without a bucket", "default: [{name: a, quota: 5, window: 1m, burst: 9}]\n"},
	{"two rules of one name", "default: [{name: a, quota: 5, window: 1m}]\nalways: [{name: a, quota: 9, window: 1m}]\n"},
	{"a route without rules", good + "routes:\n  - pattern: POST /v1/token\n"},
	{"a method in lower case", good + "routes:\n  - pattern: post /v1/token\n    exempt: true\n"},
	{"a key that the program lacks", "default: [{name: a, quota: 5, window: 1m, key: {custom: region}}]\n"},
	{"a function that the program lacks", "default: [{name: a, rate: 5/m, limit: {custom: customer}}]\n"},
	{"a header that anybody can write", "default: [{name: a, quota: 5, window: 1m}]\naddress: {header: X-Real-IP}\n"},
	{"a descriptor of no effect", "domains: [{domain: edge, descriptors: [{key: path}]}]\n"},
	{"a key where there is none", "domains: [{domain: edge, descriptors: [{key: path, rule: {name: a, rate: 5/s, key: bearer}}]}]\n"},
	{"the same field twice", "default: [{name: a, quota: 5, quota: 9, window: 1m}]\n"},
	{"an alias", "default: &d [{name: a, quota: 5, window: 1m}]\nalways: *d\n"},
	{"a second document", "default: [{name: a, quota: 5, window: 1m}]\n---\nshadow: true\n"},
	{"a bracket not closed", "default: [{name: a, quota: 5, window: 1m}\n\n"},
	{"nothing at all", "# later\n"},
	{"more than 10,000 lines", strings.Repeat("#\n", 10_000)},
	{"more than 128 KiB", strings.Repeat("#", 128<<10+1)},
	{"more than 3,000 patterns", good + "routes: [{exempt: true, pattern: [" + strings.Repeat("/x,", 3001) + "]}]\n"},
	{"a pattern of more than 1,000 bytes", good + "routes:\n- pattern: /" + strings.Repeat("x", 1000) + "\n  exempt: true\n"},
	{"many rules for each of many patterns", good + "routes:\n- pattern: [" + strings.Repeat("/x,", 2500) + "]\n  rules: [" + strings.Repeat("{name: b, quota: 1, window: 1s},", 40) + "]\n"},
	{"a name of more than 256 bytes", good + strings.Repeat("x", 257) + ": 1\n"},
	{"more than 32 levels", "default: " + strings.Repeat("[", 40)},
}

// errorTable is the table of mistakes with what is told of them.
func errorTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| mistake | error |\n|---|---|\n")
	for _, m := range mistakes {
		_, err := policyfile.Parse([]byte(m.text), policyfile.Options{})
		require.Error(t, err, m.what)
		fmt.Fprintf(&b, "| %s | `%s` |\n", m.what, strings.ReplaceAll(err.Error(), "|", `\|`))
	}
	return b.String()
}

// The page about policy files has every field, and every example and error on it is true.
func TestPageIsTrue(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	region := regexp.MustCompile(`(?s)(<!-- begin (\w+) -->\n).*?(<!-- end -->)`)
	seen := map[string]bool{}
	made := region.ReplaceAllStringFunc(string(text), func(s string) string {
		m := region.FindStringSubmatch(s)
		seen[m[2]] = true
		body := ""
		if o, ok := objects[m[2]]; ok {
			body = table(t, o.def)
		} else {
			require.Equal(t, "errors", m[2])
			body = errorTable(t)
		}
		return m[1] + body + m[3]
	})
	require.Len(t, seen, len(objects)+1, "every object has its table")
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(made), 0o644))
	} else {
		require.Equal(t, made, string(text), "the tables are old: go test ./middleware/policyfile -run TestPageIsTrue -update")
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(made, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		_, err := policyfile.Parse([]byte(block[1]), options())
		require.NoError(t, err, block[1])
		assertFits(t, block[1])
	}
}

// Every example of the schema is one that the parser takes, and every default is what a file
// means that does not say it.
func TestExamplesAndDefaults(t *testing.T) {
	// Where the zero value stands for the default, the policies differ though they mean the same.
	zero := []string{"rule.cost", "rule.key", "address.ipv6Prefix", "file.headers"}
	parsed := func(file object) string {
		text, err := json.Marshal(file)
		require.NoError(t, err)
		p, err := policyfile.Parse(text, options())
		require.NoError(t, err, string(text))
		assertFits(t, string(text))
		p.Claims = nil // a function's address
		var rules []middleware.Rule
		for _, d := range p.Domains {
			for i := range d.Descriptors {
				if r := &d.Descriptors[i].Rule; *r != nil {
					rules = append(rules, **r)
					*r = nil
				}
			}
		}
		return fmt.Sprintf("%+v %+v", p, rules)
	}
	for name, o := range objects {
		fields, _ := properties(o.def)
		for field, f := range fields {
			f := f.(object)
			require.NotEmpty(t, f["examples"], "%s.%s has no example", name, field)
			for _, e := range f["examples"].([]any) {
				parsed(o.file(field, e))
			}
			if d, ok := f["default"]; ok && !slices.Contains(zero, name+"."+field) {
				assert.Equal(t, parsed(o.file(field, nil)), parsed(o.file(field, d)), "%s.%s: %v is not the default", name, field, d)
			}
		}
	}
}

// The parser knows the fields that the schema has, and thereby the page: no more, no less.
func TestFieldsAreThoseOfTheSchema(t *testing.T) {
	for name, o := range objects {
		text, err := json.Marshal(o.file("zzz", "z"))
		require.NoError(t, err)
		_, err = policyfile.Parse(text, options())
		require.Error(t, err)
		_, known, ok := strings.Cut(err.Error(), "is for an unknown field; known here: ")
		require.True(t, ok, "%s: %v", name, err)
		fields, _ := properties(o.def)
		assert.Equal(t, slices.Sorted(maps.Keys(fields)), strings.Split(known, ", "), name)
	}
}
