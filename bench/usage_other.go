//go:build !linux

package main

import (
	"errors"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	CPU time.Duration
	RSS int64
}

// errNoUsage fails the rows about CPU and memory of processes, and no others.
var errNoUsage = errors.New("CPU and memory of a process are read from /proc, which only Linux has")

func usageOfSelf() (usage, error) { return usage{}, nil }
func usageOf(int) (usage, error)  { return usage{}, errNoUsage }

func threadCPU() time.Duration { return 0 }
