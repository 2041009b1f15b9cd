// Package grpclimit guards the methods of a gRPC server by a weir policy.
//
// For each call it asks the policy's rules: a method is the path of a pattern, such as
// "/pkg.Service/Method" or "/pkg.Service/", and metadata are the headers that keys read. The
// limit headers go out as header metadata, under their names in lower case; those of a refused call
// are in the trailer, since gRPC's own retries only obey an answer that has no more than one.
// A refused call ends with RESOURCE_EXHAUSTED (nothing left), UNAVAILABLE (the limiter cannot decide) or
// PERMISSION_DENIED (no key, or a quota of 0), with the details of the error model: RetryInfo,
// QuotaFailure and RequestInfo, and in the trailer "grpc-retry-pushback-ms", which gRPC's own
// retries obey. Rules that count by outcome see the HTTP status that the call's code stands for.
//
// A stream is one call, or one per message that the client sends ([Options].PerMessage).
// Clients that wait as they are told are [Client].
package grpclimit

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/weir-go/weir/middleware"
)

// Options are what a [Server] can do besides; the zero value is fine.
type Options struct {
	// PerMessage reports whether each message that a client sends on a stream of that method
	// counts, such as "/pkg.Chat/Talk". The first message counts as the call itself. A
	// message that is refused ends the stream: the handler's RecvMsg gets the error, and
	// should return it.
	PerMessage func(fullMethod string) bool
}

// Server guards a gRPC server: its methods Unary and Stream are interceptors.
type Server struct {
	m *middleware.Middleware
	o Options
}

// New returns a Server that asks m.
func New(m *middleware.Middleware, o Options) *Server { return &Server{m, o} }

// Unary is a [grpc.UnaryServerInterceptor].
func (s *Server) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	o, refused := s.decide(ctx, info.FullMethod)
	if refused != nil {
		_ = grpc.SetTrailer(ctx, trailer(o))
		o.Done(0)
		return nil, refused
	}
	if md := headers(o); md != nil {
		_ = grpc.SetHeader(ctx, md) // it fails where somebody outside has answered already
	}
	panicked := true
	defer func() { o.Done(httpStatus(err, panicked)) }()
	resp, err = next(o.Context(ctx), req)
	panicked = false
	return resp, err
}

// Stream is a [grpc.StreamServerInterceptor].
func (s *Server) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx := ss.Context()
	o, refused := s.decide(ctx, info.FullMethod)
	if refused != nil {
		ss.SetTrailer(trailer(o))
		o.Done(0)
		return refused
	}
	if md := headers(o); md != nil {
		_ = ss.SetHeader(md) // it fails where somebody outside has answered already
	}
	st := &stream{ServerStream: ss, ctx: o.Context(ctx), outcome: o}
	if s.o.PerMessage != nil && s.o.PerMessage(info.FullMethod) {
		st.server, st.method = s, info.FullMethod
	}
	panicked := true
	defer func() { st.next(middleware.Outcome{}).Done(httpStatus(err, panicked)) }()
	err = next(srv, st)
	panicked = false
	return err
}

// Allow asks one rule of the policy within a handler, for a subject that only the handler knows, such
// as the user name in a message: see [middleware.Middleware.Allow]. The error is what the
// handler should return. Else done must be called with the handler's own error.
func (s *Server) Allow(ctx context.Context, rule, subject string) (done func(error), err error) {
	method, _ := grpc.Method(ctx)
	c := callOf(ctx, method)
	c.Rule, c.Subject = rule, subject
	o, refused := s.ask(ctx, c)
	if refused != nil {
		_ = grpc.SetTrailer(ctx, trailer(o))
		o.Done(0)
		return nil, refused
	}
	return func(err error) { o.Done(httpStatus(err, false)) }, nil
}

// decide asks about a call; refused is the error to end it with.
func (s *Server) decide(ctx context.Context, method string) (o middleware.Outcome, refused error) {
	return s.ask(ctx, callOf(ctx, method))
}

func (s *Server) ask(ctx context.Context, c middleware.Call) (o middleware.Outcome, refused error) {
	o, err := s.m.Decide(ctx, c)
	switch {
	case err != nil:
		return o, status.FromContextError(err).Err()
	case !o.Allowed:
		return o, refusal(o.Refusal)
	}
	return o, nil
}

// stream is a ServerStream that has the decisions in its context and can count messages.
type stream struct {
	grpc.ServerStream
	ctx    context.Context
	server *Server // nil if messages do not count
	method string
	began  bool // the first message was there

	mu      sync.Mutex         // a handler may receive in a goroutine that it does not wait for
	outcome middleware.Outcome // of the last message that was asked about, or of the call
}

func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg asks about each message but the first. That the handler wants the next one says that
// the last one went well.
func (s *stream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil || s.server == nil {
		return err
	}
	if !s.began {
		s.began = true
		return nil
	}
	s.next(middleware.Outcome{}).Done(httpStatus(nil, false))
	o, refused := s.server.decide(s.ctx, s.method)
	if s.next(o); refused != nil {
		s.SetTrailer(trailer(o))
	}
	return refused
}

// next puts another outcome in the place of the one that it returns.
func (s *stream) next(o middleware.Outcome) (last middleware.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, s.outcome = s.outcome, o
	return last
}
