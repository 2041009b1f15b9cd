// Package connectlimit guards the procedures of Connect handlers by a weir policy.
//
// For each call it asks the policy's rules: a procedure is the path of a pattern, such as
// "/pkg.Service/Method" or "/pkg.Service/", and the method always POST, also of the GET that
// clients may choose for what has no side effects. The limit headers are set on the response,
// also of an error. A refused call ends with resource_exhausted (nothing left), unavailable (the
// limiter cannot decide) or permission_denied (no key, or a quota of 0), with RetryInfo,
// QuotaFailure and RequestInfo as its details, and for clients of gRPC with
// "grpc-retry-pushback-ms". Rules that count by outcome see the HTTP status that the call's code
// stands for, which an http.Handler around would see for the Connect protocol alone: those of
// gRPC always say 200.
//
// An interceptor does not know the host that a request was sent to: patterns with a host do not
// match. For those, and for limits that count before a message is read, put
// [middleware.Middleware.Wrap] around the handlers.
package connectlimit

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"connectrpc.com/connect"

	"github.com/weir-go/weir/middleware"
)

// Options are what an interceptor can do besides; the zero value is fine.
type Options struct {
	// PerMessage reports whether each message that a client sends on a stream of that
	// procedure counts. The first message counts as the call itself. A message that is
	// refused ends the stream: the handler's Receive gets the error, and should return it.
	PerMessage func(procedure string) bool
}

// New returns an interceptor for handlers; of clients it changes nothing.
func New(m *middleware.Middleware, o Options) connect.Interceptor { return &interceptor{m, o} }

type interceptor struct {
	m *middleware.Middleware
	o Options
}

// WrapUnary asks about a call before its handler.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (resp connect.AnyResponse, err error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		o, refused := i.decide(ctx, req.Spec(), req.Peer(), req.Header())
		if refused != nil {
			o.Done(0)
			return nil, refused
		}
		panicked := true
		defer func() { o.Done(httpStatus(err, panicked)) }()
		resp, err = next(o.Context(ctx), req)
		panicked = false
		if err != nil {
			err = withHeaders(err, o.Header())
		} else {
			show(resp, o)
		}
		return resp, err
	}
}

// WrapStreamingClient changes nothing.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler asks about a stream when it begins, and about its messages by choice.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		o, refused := i.decide(ctx, conn.Spec(), conn.Peer(), conn.RequestHeader())
		if refused != nil {
			o.Done(0)
			return refused
		}
		put(conn.ResponseHeader(), o.Header())
		st := &stream{StreamingHandlerConn: conn, outcome: o}
		if i.o.PerMessage != nil && i.o.PerMessage(conn.Spec().Procedure) {
			st.ctx, st.interceptor = ctx, i
		}
		panicked := true
		defer func() { st.next(middleware.Outcome{}).Done(httpStatus(err, panicked)) }()
		err = next(o.Context(ctx), st)
		panicked = false
		return err
	}
}

// decide asks about a call; refused is the error to end it with.
func (i *interceptor) decide(ctx context.Context, spec connect.Spec, peer connect.Peer, h http.Header) (o middleware.Outcome, refused error) {
	if h == nil {
		h = http.Header{}
	}
	o, err := i.m.Decide(ctx, middleware.Call{Path: spec.Procedure, Peer: peer.Addr, Header: h})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return o, connect.NewError(connect.CodeDeadlineExceeded, err)
	case err != nil:
		return o, connect.NewError(connect.CodeCanceled, err)
	case !o.Allowed:
		return o, refusal(o)
	}
	return o, nil
}

// stream is a conn that can count messages.
type stream struct {
	connect.StreamingHandlerConn
	ctx         context.Context
	interceptor *interceptor // nil if messages do not count
	began       bool         // the first message was there

	mu      sync.Mutex         // a handler may receive in a goroutine that it does not wait for
	outcome middleware.Outcome // of the last message that was asked about, or of the call
}

// Receive asks about each message but the first. That the handler wants the next one says that
// the last one went well.
func (s *stream) Receive(m any) error {
	if err := s.StreamingHandlerConn.Receive(m); err != nil || s.interceptor == nil {
		return err
	}
	if !s.began {
		s.began = true
		return nil
	}
	s.next(middleware.Outcome{}).Done(http.StatusOK)
	o, refused := s.interceptor.decide(s.ctx, s.Spec(), s.Peer(), s.RequestHeader())
	s.next(o)
	return refused
}

// next puts another outcome in the place of the one that it returns.
func (s *stream) next(o middleware.Outcome) (last middleware.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, s.outcome = s.outcome, o
	return last
}
