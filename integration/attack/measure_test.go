package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary the program itself.
const asProgram = "ATTACK_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The measurement measures: it floods, the clients ask, the fourth node joins, and a budget is
// never exceeded. Whether the machine has time for all of it is for who runs the table.
func TestMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks the machine's own sockets for seconds")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("reads /proc")
	}
	t.Setenv(asProgram, "1")
	p := plan{program: os.Args[0], victim: os.Args[0], attack: 3 * time.Second, callTimeout: time.Second, nice: 19, open: 64}
	c, err := p.measure("garbage", sourcesMax)
	require.NoError(t, err)
	require.NotZero(t, c.totals.Connections)
	require.NotZero(t, c.totals.Packets)
	require.Positive(t, c.totals.perSecond(c.totals.Packets))
	require.GreaterOrEqual(t, c.keys, keys)
	require.Positive(t, c.rate)
	require.Zero(t, c.over, "%+v", c)
	require.NotZero(t, c.joined, "%+v", c)
	require.NotZero(t, c.busy)
	require.Positive(t, c.growth)
}

// One figure out of its bound is enough.
func TestJudgesCells(t *testing.T) {
	good := cell{joined: time.Second}
	require.True(t, good.good())
	for i, change := range []func(*cell){
		func(c *cell) { c.over = 1 }, func(c *cell) { c.under = 1 }, func(c *cell) { c.degraded = 1 }, func(c *cell) { c.failed = 1 },
		func(c *cell) { c.joined = 0 }, func(c *cell) { c.joined = joinMost + 1 }, func(c *cell) { c.growth = growthMax }, func(c *cell) { c.files = filesMax },
	} {
		bad := good
		change(&bad)
		require.False(t, bad.good(), "%d", i)
	}
}

// Of two keys one had a take too many, and one too few.
func TestCountsInexactKeys(t *testing.T) {
	l := newLoad()
	for key, n := range map[string]int{"exact": quota, "more": quota + 1, "less": quota - 1} {
		l.asked[key], l.admitted[key] = asks, n
	}
	over, under, all := l.inexact()
	require.Equal(t, []int{1, 1, 3}, []int{over, under, all})
}
