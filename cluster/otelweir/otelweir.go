// Package otelweir makes OpenTelemetry spans of the decisions for which a node asked others:
//
//	cluster.Start(ctx, cluster.Config{OnForward: otelweir.OnForward(otel.GetTracerProvider()), …})
//
// Each such take is a span below the one of its context, the request's, with the way that the
// take took: one event for each node that was asked. A take that is decided where it begins has
// none, and without this package nothing is recorded and nothing asked. Keys are in no span.
package otelweir

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/weir-go/weir/cluster"
)

// Scope is the name under which spans are recorded.
const Scope = "github.com/weir-go/weir/cluster"

// Names of attributes.
const (
	PathKey    = attribute.Key("weir.path")     // forwarded or degraded
	AllowedKey = attribute.Key("weir.allowed")  // whether the take was admitted
	HereKey    = attribute.Key("weir.here")     // whether this node decided after all
	NodeKey    = attribute.Key("weir.node")     // of a hop: who was asked; of a span: who decided
	RoleKey    = attribute.Key("weir.role")     // of a hop: holder, successor or relay
	OutcomeKey = attribute.Key("weir.outcome")  // of a hop: decided, moved, unreached, no answer or skipped
	TookKey    = attribute.Key("weir.duration") // of a hop: seconds
)

// OnForward is for cluster.Config.OnForward. A request that is not sampled costs next to
// nothing, and so does a take outside of any request: it has no span to be below of.
func OnForward(p trace.TracerProvider) func(context.Context, cluster.Forwarded) {
	tracer := p.Tracer(Scope)
	return func(ctx context.Context, f cluster.Forwarded) {
		if parent := trace.SpanFromContext(ctx); parent.IsRecording() || parent.SpanContext().IsSampled() {
			record(ctx, tracer, &f)
		}
	}
}

func record(ctx context.Context, tracer trace.Tracer, f *cluster.Forwarded) {
	attrs := []attribute.KeyValue{PathKey.String(f.Decision.Path.String()), AllowedKey.Bool(f.Decision.Allowed), HereKey.Bool(f.Here)}
	if n := len(f.Hops); n > 0 && !f.Here && f.Err == nil {
		attrs = append(attrs, NodeKey.String(f.Hops[n-1].Node))
	}
	_, span := tracer.Start(ctx, "weir take", trace.WithTimestamp(f.Began), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	for _, h := range f.Hops {
		attrs := []attribute.KeyValue{NodeKey.String(h.Node), RoleKey.String(h.As.String()), OutcomeKey.String(h.Outcome.String()), TookKey.Float64(h.Took.Seconds())}
		if h.Err != nil {
			attrs = append(attrs, attribute.String("error.message", h.Err.Error()))
		}
		span.AddEvent("asked", trace.WithTimestamp(h.Began), trace.WithAttributes(attrs...))
	}
	if f.Err != nil {
		span.SetStatus(codes.Error, f.Err.Error())
	}
	span.End(trace.WithTimestamp(f.Began.Add(f.Took)))
}
