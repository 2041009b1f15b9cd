package policyfile_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/middleware/policyfile"
)

// validator is as much of JSON Schema as the schema of policy files uses. It fails on
// any other keyword, so that the schema cannot outgrow it unnoticed.
type validator struct {
	t    *testing.T
	root map[string]any
}

// check returns the reasons why v does not fit the schema.
func (c validator) check(schema map[string]any, v any, path string) (wrong []string) {
	fail := func(format string, args ...any) {
		wrong = append(wrong, path+": "+fmt.Sprintf(format, args...))
	}
	for word, rule := range schema {
		switch word {
		case "$schema", "$defs", "title", "description", "default", "examples":
		case "$ref":
			def := c.root["$defs"].(map[string]any)[strings.TrimPrefix(rule.(string), "#/$defs/")]
			wrong = append(wrong, c.check(def.(map[string]any), v, path)...)
		case "type":
			if kindOf(v) != rule {
				fail("%v is no %v", v, rule)
			}
		case "enum":
			found := false
			for _, e := range rule.([]any) {
				found = found || reflect.DeepEqual(e, v)
			}
			if !found {
				fail("%v is not one of %v", v, rule)
			}
		case "oneOf", "anyOf":
			fits := 0
			for _, s := range rule.([]any) {
				if len(c.check(s.(map[string]any), v, path)) == 0 {
					fits++
				}
			}
			if fits == 0 || word == "oneOf" && fits > 1 {
				fail("%v fits %d of the alternatives", v, fits)
			}
		case "required", "properties", "additionalProperties", "minProperties", "maxProperties":
			wrong = append(wrong, c.checkObject(schema, word, v, path)...)
		case "items", "minItems":
			list, _ := v.([]any)
			if word == "minItems" && kindOf(v) == "array" && len(list) < int(rule.(float64)) {
				fail("%v is too short", v)
			}
			for i, e := range list {
				if word == "items" {
					wrong = append(wrong, c.check(rule.(map[string]any), e, fmt.Sprintf("%s[%d]", path, i))...)
				}
			}
		case "pattern", "minLength":
			s, isString := v.(string)
			if isString && word == "pattern" && !regexp.MustCompile(rule.(string)).MatchString(s) {
				fail("%q does not match %v", s, rule)
			}
			if isString && word == "minLength" && utf8.RuneCountInString(s) < int(rule.(float64)) {
				fail("%q is too short", s)
			}
		case "minimum", "maximum":
			n, isNumber := v.(float64)
			if isNumber && (word == "minimum" && n < rule.(float64) || word == "maximum" && n > rule.(float64)) {
				fail("%v is out of bounds", n)
			}
		default:
			require.Fail(c.t, "the validator does not know the keyword", word)
		}
	}
	return wrong
}

// checkObject is check for the keywords about objects.
func (c validator) checkObject(schema map[string]any, word string, v any, path string) (wrong []string) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	known, _ := schema["properties"].(map[string]any)
	switch rule := schema[word]; word {
	case "required":
		for _, name := range rule.([]any) {
			if _, there := object[name.(string)]; !there {
				wrong = append(wrong, fmt.Sprintf("%s: %v is missing", path, name))
			}
		}
	case "minProperties", "maxProperties":
		n := float64(len(object))
		if word == "minProperties" && n < rule.(float64) || word == "maxProperties" && n > rule.(float64) {
			wrong = append(wrong, fmt.Sprintf("%s: %v fields", path, n))
		}
	case "properties":
		for name, s := range known {
			if value, there := object[name]; there {
				wrong = append(wrong, c.check(s.(map[string]any), value, path+"."+name)...)
			}
		}
	case "additionalProperties":
		for name, value := range object {
			if _, isKnown := known[name]; isKnown {
				continue
			}
			if s, isSchema := rule.(map[string]any); isSchema {
				wrong = append(wrong, c.check(s, value, path+"."+name)...)
			} else if rule == false {
				wrong = append(wrong, path+": "+name+" is unknown")
			}
		}
	}
	return wrong
}

// kindOf is the JSON Schema type of a value that came through encoding/json.
func kindOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	}
	return "null"
}

// schemaRoot is the schema, parsed once: a fuzzer asks often.
var schemaRoot = sync.OnceValue(func() (root map[string]any) {
	if err := json.Unmarshal(policyfile.Schema(), &root); err != nil {
		panic(err)
	}
	return root
})

// bySchema reports what the schema has against a policy file. What is not one YAML document
// is nothing that a schema could judge.
func bySchema(t *testing.T, text string) (wrong []string, isYAML bool) {
	t.Helper()
	var v, plain any
	if yaml.Unmarshal([]byte(text), &v) != nil {
		return nil, false
	}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &plain))
	root := schemaRoot()
	return validator{t, root}.check(root, plain, "policy"), true
}

// assertFits asserts that the schema takes a policy file.
func assertFits(t *testing.T, text string) {
	t.Helper()
	wrong, isYAML := bySchema(t, text)
	assert.True(t, isYAML, text)
	assert.Empty(t, wrong, text)
}
