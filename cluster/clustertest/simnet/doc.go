// Package simnet is a network in memory, with faults, for tests of whole clusters.
//
// What one packet or one write does, in order:
//
//  1. The call passes the host's gate: it waits there while the host is paused.
//  2. The wire is looked up by the names of both hosts: cut, latency, jitter, loss. Some
//     packets are held on the way, for seconds.
//  3. With no delay the bytes go straight into the receiver's queue. Otherwise an
//     event is put into the network's one schedule, which a single timer drives.
//  4. On arrival the wire is asked again: what is cut while on its way is lost, a
//     packet for good, stream bytes until a retransmission finds the wire whole.
//  5. The receiver's reader is woken, and waits at its own gate if it is paused.
//
// # Streams behave as TCP does
//
// A cut is silent, as with a firewall that drops. Written bytes are held and tried
// again after [Options.RTO], doubling each time, so that a stream may stay dead for
// as long again as the cut lasted. A stream whose bytes stay unacknowledged for
// [Options.UserTimeout] fails with ETIMEDOUT. When only the way back is cut, bytes
// still arrive until the first retransmission is due, but their acknowledgement does
// not, and the sender times out all the same. A dial over a cut wire sends SYNs after
// 1, 3, 7… seconds until its context ends; a dial to a host with no listener is
// refused. Closing with unread bytes, and writing to a closed end, reset the stream.
//
// Not simulated: congestion, checksums, segment sizes, the timeout of a full receive
// window, packet loss on streams (Loss concerns packets only), half-closing.
//
// # Time
//
// Everything blocks on condition variables, channels and timers, never on a mutex
// that is held while time passes. So a network works in a testing/synctest bubble
// (create it inside), where it costs no real time, and outside of one. Before the
// bubble's root returns, close or [Host.Kill] everything: a goroutine still in Read
// or Accept is reported by synctest as a deadlock, which makes an exact leak check.
//
// # Determinism
//
// What is due at the same instant arrives in the order in which it was sent, and the
// seed fixes the sequence of random draws. Yet which goroutine sends first, and so who
// gets which draw, is the scheduler's choice, and synctest fires timers of the same
// instant in random order on purpose. A seed therefore makes a failing run likely to
// come back, not certain: assert invariants and bounds, not exact traces.
package simnet
