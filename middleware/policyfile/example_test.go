package policyfile_test

import (
	"fmt"

	"github.com/weir-go/weir/middleware/policyfile"
)

// A mistake is told with its line, its field and its value.
func ExampleParse() {
	_, err := policyfile.Parse([]byte(`
default:
  - name: default
    quota: 0
    window: 1m
`), policyfile.Options{})
	fmt.Println(err)
	// Output: policyfile: 4: default[0].quota: 0 is not within 1 to 2147483647
}

// The reference policy, as middleware.New takes it.
func ExampleReference() {
	p, err := policyfile.Parse(policyfile.Reference(), policyfile.Options{})
	fmt.Println(err, p.Routes[0].Patterns, p.Routes[0].Rules[0].Limit.Quota)
	// Output: <nil> [POST /v1/authorize] 10
}
