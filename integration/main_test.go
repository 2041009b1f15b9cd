package integration

import (
	"os"
	"testing"
)

// childEnv holds the spec of a child; with it this binary is a node and no test.
const childEnv = "WEIR_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(runChild(text))
	}
	os.Exit(m.Run())
}
