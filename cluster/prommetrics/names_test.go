package prommetrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var metricName = regexp.MustCompile(`\bweir_[a-z_]+`)

// What the dashboard and the alerts ask for is exported, and what is exported is on the
// dashboard: a name that changes here must change there.
func TestNamesOfDashboardAndAlerts(t *testing.T) {
	h, _, registry := guarded(t, policy)
	request(h, "203.0.113.9")
	var exported []string
	for _, f := range gather(t, registry) {
		exported = append(exported, f.GetName())
	}
	require.Greater(t, len(exported), 30)
	dashboard, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	require.True(t, json.Valid(dashboard))
	alerts, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	known := append(slices.Clone(exported), "weir_decision_duration_seconds_bucket")
	for _, name := range metricName.FindAllString(string(dashboard)+string(alerts), -1) {
		require.Contains(t, known, name)
	}
	shown := metricName.FindAllString(string(dashboard), -1)
	for _, name := range exported {
		if name == "weir_decision_duration_seconds" {
			name += "_bucket"
		}
		require.Contains(t, shown, name, "exported, and on no panel")
	}
}

func TestPromtoolCheckRules(t *testing.T) {
	out, err := promtool(t, nil, "check", "rules", "alerts.yaml")
	require.NoError(t, err, out)
	require.Contains(t, out, "23 rules found")
}
