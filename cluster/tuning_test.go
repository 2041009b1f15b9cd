package cluster

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The defaults in the table of docs/tuning.md are those of the code.
func TestTuningDefaults(t *testing.T) {
	page, err := os.ReadFile("../docs/tuning.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(page), -1)
	config := reflect.ValueOf(Config{}.withDefaults())
	var named []string
	for _, r := range rows {
		named = append(named, r[1])
		field := config.FieldByName(r[1])
		if !assert.True(t, field.IsValid(), "no field %s", r[1]) {
			continue
		}
		if d, ok := field.Interface().(time.Duration); ok {
			told, err := time.ParseDuration(strings.NewReplacer(" ", "", "min", "m").Replace(r[2]))
			require.NoError(t, err, r[1])
			assert.Equal(t, d, told, r[1])
			continue
		}
		assert.Equal(t, fmt.Sprint(field.Interface()), r[2], r[1])
	}
	assert.Subset(t, named, []string{"CallTimeout", "FlushInterval", "Replicas", "MaxKeys", "JoinTimeout", "ExpectedNodes", "ForgetAfter", "Split"})
}
