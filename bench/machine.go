package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine says where the numbers come from: without it they mean little.
func machine() string {
	parts := []string{fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts = append(parts, model)
	}
	if memory := field("/proc/meminfo", "MemTotal"); memory != "" {
		parts = append(parts, memory+" of memory")
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, "kernel "+strings.TrimSpace(string(kernel)))
	}
	return strings.Join(append(parts, runtime.Version(), time.Now().UTC().Format(time.DateOnly)), "; ")
}

// field is what a file of "name: value" lines says of a name first; "" where there is
// no such file.
func field(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// contenders are the versions of what is compared.
func contenders() string {
	var parts []string
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, d := range b.Deps {
			for _, name := range []string{"go-limiter", "throttled/v2", "ulule/limiter/v3", "httprate", "x/time", "go-redis/v9", "redis/rueidis", "gubernator/v2"} {
				if strings.HasSuffix(d.Path, "/"+name) || d.Path == "golang.org/"+name {
					parts = append(parts, strings.TrimPrefix(d.Path, "github.com/")+" "+d.Version)
				}
			}
		}
	}
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		if words := strings.Fields(string(out)); len(words) > 2 {
			parts = append(parts, "redis-server "+strings.TrimPrefix(words[2], "v="))
		}
	}
	return strings.Join(parts, ", ")
}
