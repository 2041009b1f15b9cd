package transport

import "errors"

// What a caller branches on. Those of calls come wrapped in a *[CallError].
var (
	// ErrTimeout: the deadline passed before an answer came.
	ErrTimeout = errors.New("transport: timeout")
	// ErrClosed: this side closed the peer, the server or the session.
	ErrClosed = errors.New("transport: closed")
	// ErrBusy: a limit is reached: calls in flight or bytes unsent, here or at the peer.
	ErrBusy = errors.New("transport: busy")
	// ErrUnreachable: there is no connection, and dialling failed or must wait.
	ErrUnreachable = errors.New("transport: unreachable")
	// ErrLost: the connection broke, or was given up, while the call was under way.
	ErrLost = errors.New("transport: connection lost")
	// ErrTooLarge: the encoded message does not fit into [MaxFrame].
	ErrTooLarge = errors.New("transport: message too large")
	// ErrProtocol: the other side sent what this package does not send.
	ErrProtocol = errors.New("transport: protocol violation")
	// ErrProof: the listening side could not prove that it knows the secret.
	ErrProof = errors.New("transport: peer did not prove the secret")
	// ErrEncoding: bytes are not the msgpack that was asked for.
	ErrEncoding = errors.New("transport: malformed msgpack")
)

// CallError is what a failed call returns, always.
type CallError struct {
	// Sent tells whether the peer may have acted on the request. False is certain: no
	// byte of it left, or the peer said that it did not look at it.
	Sent bool
	Err  error
}

// Error names the cause, and says so where the request may have been acted on.
func (e *CallError) Error() string {
	if e.Sent {
		return e.Err.Error() + " (request sent)"
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// RefusedError is a handshake that one side ended, with its reason.
type RefusedError struct {
	Reason string
	// Version says that the two sides are of versions that cannot talk to each other.
	Version bool
}

// Error returns the reason, marked as a refusal.
func (e *RefusedError) Error() string { return "transport: refused: " + e.Reason }

// VersionError is what a Handler's Hello returns to refuse a dialer for its version: that is told so,
// see [RefusedError].
type VersionError string

// Error is the reason that the dialer gets.
func (e VersionError) Error() string { return string(e) }

// RemoteError is the text of an error that the peer's Handler returned.
type RemoteError string

// Error marks the text as the peer's.
func (e RemoteError) Error() string { return "transport: peer: " + string(e) }

// Failures that need no detail are made once: failing fast must stay cheap when
// thousands of calls fail at the same time.
var (
	errTimeoutSent   = &CallError{Sent: true, Err: ErrTimeout}
	errTimeoutUnsent = &CallError{Err: ErrTimeout}
	errBusy          = &CallError{Err: ErrBusy}
	errClosed        = &CallError{Err: ErrClosed}
	errTooLarge      = &CallError{Err: ErrTooLarge}
	errNoConnection  = &CallError{Err: ErrUnreachable}
)
