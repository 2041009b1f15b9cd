package policyfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// A mistake is told with its line, its field and its value.
func ExampleParse() {
	_, err := policyfile.Parse([]byte(`
default:
  - name: default
    quota: -1
    window: 1m
`), policyfile.Options{})
	fmt.Println(err)
	// Output: policyfile: 4: default[0].quota: -1 is not within 0 to 2147483647
}

// The reference policy, as middleware.New takes it.
func ExampleReference() {
	p, err := policyfile.Parse(policyfile.Reference(), policyfile.Options{})
	fmt.Println(err, p.Routes[0].Patterns, p.Routes[0].Rules[0].Limit.Quota)
	// Output: <nil> [POST /v1/authorize] 10
}

// A service follows its policy file. A server would also call Reload on SIGHUP; what is
// wrong with a file is told, and changes nothing.
func ExampleWatch() {
	dir, err := os.MkdirTemp("", "policy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "policy.yaml")
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			fmt.Println(err)
		}
	}
	write(policyfile.Reference())

	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), middleware.ReferencePolicy())
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := policyfile.Watch(file, policyfile.Options{}, m.Swap)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	write([]byte("default: [{name: default, quota: 200, window: 1m}]"))
	fmt.Println(w.Reload())
	write([]byte("default: [{name: default, quota: lots, window: 1m}]"))
	if e, ok := errors.AsType[*policyfile.Error](w.Reload()); ok {
		fmt.Printf("line %d, %s: %s %s\n", e.Line, e.Field, e.Value, e.Reason)
	}
	// Output:
	// <nil>
	// line 1, default[0].quota: "lots" is not a whole number in decimal digits
}
