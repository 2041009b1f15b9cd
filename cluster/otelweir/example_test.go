package otelweir_test

import (
	"context"
	"fmt"
	"log/slog"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/otelweir"
)

// The provider is the service's own; otel.GetTracerProvider() where it is global.
func ExampleOnForward() {
	provider := sdk.NewTracerProvider()
	node, err := cluster.Start(context.Background(), cluster.Config{
		OnForward: otelweir.OnForward(provider), Name: "a", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	fmt.Println(node.Name(), "tells of each take for which it asks others")
	// Output: a tells of each take for which it asks others
}
