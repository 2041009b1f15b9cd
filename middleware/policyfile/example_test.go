package policyfile_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/weir-go/weir/limiter"
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

// A service follows its policy file. A server would also call ReloadOn(syscall.SIGHUP);
// what is wrong with a file is told, and changes nothing.
func ExampleGuard() {
	dir, err := os.MkdirTemp("", "policy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			fmt.Println(err)
		}
	}
	write("default: [{name: default, quota: 100, window: 1m}]")

	guard, watcher, err := policyfile.Guard(limiter.NewLocal(limiter.Config{}), file, policyfile.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watcher.Close()
	handler := guard.Wrap(http.NotFoundHandler())

	write("default: [{name: default, quota: 200, window: 1m}]")
	fmt.Println(watcher.Reload())
	write("default: [{name: default, quota: lots, window: 1m}]")
	if e, ok := errors.AsType[*policyfile.Error](watcher.Reload()); ok {
		fmt.Printf("line %d, %s: %s %s\n", e.Line, e.Field, e.Value, e.Reason)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Header().Get("X-RateLimit-Limit"))
	// Output:
	// <nil>
	// line 1, default[0].quota: "lots" is not a whole number in decimal digits
	// 200
}
