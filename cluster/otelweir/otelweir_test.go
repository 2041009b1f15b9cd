package otelweir_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/otelweir"
	"github.com/weir-go/weir/limiter"
)

var wide = limiter.Limit{Quota: limiter.MaxQuota, Window: 24 * time.Hour, Lease: limiter.LeaseOff}

// pair is two nodes, the first of which calls hook.
func pair(t testing.TB, hook func(context.Context, cluster.Forwarded)) (a, b *cluster.Node) {
	t.Helper()
	nodes := make([]*cluster.Node, 2)
	for i := range nodes {
		c := cluster.Config{Name: fmt.Sprint("node", i), Logger: slog.New(slog.DiscardHandler), CallTimeout: 2 * time.Second}
		if c.OnForward = hook; i > 0 {
			c.OnForward, c.Join = nil, []string{nodes[0].Addr()}
		}
		n, err := cluster.Start(t.Context(), c)
		require.NoError(t, err)
		t.Cleanup(n.Close)
		nodes[i] = n
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for nodes[0].Stats().Live != 2 || nodes[1].Stats().Holding == 0 || nodes[0].Stats().Holding+nodes[1].Stats().Holding != cluster.Partitions {
		<-poll.C
	}
	return nodes[0], nodes[1]
}

// A take that another node decided is a span below its request's, and names that node; a held
// one has none.
func TestSpanOfAForwardedTake(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(seen))
	n, other := pair(t, otelweir.OnForward(provider))
	held, forwarded := 0, 0
	for i := range 50 {
		ctx, request := provider.Tracer("test").Start(t.Context(), "request")
		d, err := n.Take(ctx, fmt.Sprint("key", i), wide, 1)
		require.NoError(t, err)
		ended := seen.Ended()
		request.End()
		if seen.Reset(); d.Path == limiter.PathHeld {
			held++
			require.Empty(t, ended)
			continue
		}
		forwarded++
		require.Len(t, ended, 1)
		s := ended[0]
		require.Equal(t, request.SpanContext().TraceID(), s.SpanContext().TraceID())
		require.Equal(t, request.SpanContext().SpanID(), s.Parent().SpanID())
		require.Equal(t, otelweir.Scope, s.InstrumentationScope().Name)
		require.Contains(t, s.Attributes(), otelweir.NodeKey.String(other.Name()))
		require.Contains(t, s.Attributes(), otelweir.PathKey.String("forwarded"))
		require.Len(t, s.Events(), 1)
		require.False(t, s.Events()[0].Time.Before(s.StartTime()))
		require.True(t, s.EndTime().After(s.StartTime()))
	}
	require.Positive(t, held)
	require.Positive(t, forwarded)
}

// Outside of a request, or in one that is not sampled, there is no span.
func TestNothingToBeBelow(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	never := sdk.NewTracerProvider(sdk.WithSpanProcessor(seen), sdk.WithSampler(sdk.NeverSample()))
	always := sdk.NewTracerProvider(sdk.WithSpanProcessor(seen))
	otelweir.OnForward(always)(t.Context(), cluster.Forwarded{Began: time.Now()})
	ctx, _ := never.Tracer("test").Start(t.Context(), "request")
	otelweir.OnForward(always)(ctx, cluster.Forwarded{Began: time.Now()})
	require.Empty(t, seen.Ended())
}

// The way through a failure: each node that was asked, what came of it, and the error.
func TestSpanOfAFailure(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(seen))
	ctx, _ := provider.Tracer("test").Start(t.Context(), "request")
	began := time.Now()
	otelweir.OnForward(provider)(ctx, cluster.Forwarded{Began: began, Took: time.Second, Err: context.Canceled, Hops: []cluster.Hop{
		{Node: "b", Began: began, Took: 100 * time.Millisecond, Outcome: cluster.HopNoAnswer, Err: errors.New("no answer in time")},
		{Node: "c", Began: began, As: cluster.AsSuccessor, Outcome: cluster.HopUnreached},
	}})
	require.Len(t, seen.Ended(), 1)
	s := seen.Ended()[0]
	require.Equal(t, codes.Error, s.Status().Code)
	require.Equal(t, time.Second, s.EndTime().Sub(s.StartTime()))
	var way [][]attribute.KeyValue
	for _, e := range s.Events() {
		way = append(way, e.Attributes)
	}
	require.Equal(t, [][]attribute.KeyValue{
		{otelweir.NodeKey.String("b"), otelweir.RoleKey.String("holder"), otelweir.OutcomeKey.String("no answer"), otelweir.TookKey.Float64(.1), attribute.String("error.message", "no answer in time")},
		{otelweir.NodeKey.String("c"), otelweir.RoleKey.String("successor"), otelweir.OutcomeKey.String("unreached"), otelweir.TookKey.Float64(0)},
	}, way)
}

// What it costs: off, on outside of what is sampled, and on where each request is.
func BenchmarkForwarded(b *testing.B) {
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(tracetest.NewSpanRecorder()))
	for _, c := range []struct {
		name string
		hook func(context.Context, cluster.Forwarded)
		ctx  context.Context
	}{
		{"off", nil, b.Context()},
		{"unsampled", otelweir.OnForward(provider), b.Context()},
		{"sampled", otelweir.OnForward(sdk.NewTracerProvider()), sampled(b.Context())},
	} {
		b.Run(c.name, func(b *testing.B) {
			n, _ := pair(b, c.hook)
			key := ""
			for i := 0; ; i++ {
				key = fmt.Sprint("key", i)
				d, err := n.Take(b.Context(), key, wide, 1)
				require.NoError(b, err)
				if d.Path == limiter.PathForwarded {
					break
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				n.Take(c.ctx, key, wide, 1)
			}
		})
	}
}

// sampled is the context of a request that is traced.
func sampled(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled}))
}
