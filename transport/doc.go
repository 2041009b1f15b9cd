// Package transport is a part of package cluster, not for direct use: it carries many calls
// at once over one authenticated connection per peer. It knows nothing of limits: a message
// is bytes that its user encodes.
//
// One call, in order: [Peer.Call] takes a slot and encodes the request straight into
// the connection's output buffer, under its lock; whatever waits there leaves in one
// write; the peer's [Server] reads as many requests as have arrived, hands each to the
// [Handler], and writes all their answers at once; the calling side's reading goroutine
// finds the slot by the call's id, lets the message read its answer, and wakes the
// caller. No call waits longer than its deadline: callers never write to a socket that
// could block, and a timer sweeps the slots at the earliest deadline.
//
// A call that times out costs itself, and not the connection: that ends only when nothing
// at all has come for two seconds since one did. Until then its answer may still come, and
// a [LateMessage] hears of it. An attempt to connect belongs to no call either.
//
// There is one connection per peer, since calls that share one share its writes: on
// two cores, spreading them over two connections carried no more with 256 callers and
// less with fewer, and over four less with any number (BenchmarkConnections).
//
// # The wire, version 1
//
// Numbers outside of msgpack are big-endian. D dials, L listens.
//
//	L: greeting  1 byte: 0; nonce, 16 bytes
//	D: preface   "weir", version (1 byte: 1), flags (1 byte; bit 0: TLS follows),
//	             32 bytes: HMAC-SHA256(key, "weir door" ‖ greeting ‖ the 6 bytes before), or
//	             zeros without a secret; key as below
//	L: status    1 byte: 0 go on; else the connection is refused and closed:
//	             1 another version  2 a secret is needed  3 no secret here
//	             4 wrong secret     5 busy
//
// With a secret, TLS 1.3 begins here, with throw-away certificates that nobody checks, or
// with those of the user's CA on both sides: see [Config.TLS].
// What counts is that both sides prove the secret, bound to this very TLS channel, so
// that a relay between them gains nothing:
//
//	key   = HKDF-SHA256(secret, no salt, info "weir transport v1"), 32 bytes
//	proof = HMAC-SHA256(key, role ‖ exporter), role "weir dialer" or "weir listener",
//	        exporter = TLS exporter, label "weir transport proof", no context, 32 bytes
//
//	D: proof     32 bytes
//	L: status    1 byte: 0, or 4 and the end
//	L: proof     32 bytes, sent only to a dialer whose proof was right
//
// A side may have several secrets: it proves the first when it dials, accepts any, and
// answers by the one that it was shown.
//
// Until the first status a dialer is a stranger, and has 2 s, or 300 ms where many are.
// Until here nothing is decoded. Then one frame each way, at most 4 KiB, both a length
// (uint32, of what follows) and a msgpack array, to which later versions may append:
//
//	D: hello     [lowest minor version, highest, label str, hello bin]; a fifth element, 1,
//	             says that no calls follow, but a stream: see [DialStream]
//	L: welcome   [0, minor version chosen, reply bin]  or  [1, reason str]; a third element,
//	             1, says that it is for the dialer's version
//
// The highest minor version that both know is spoken. The label names the cluster and
// must be equal. hello and reply belong to the package's user, at most 1 KiB each. The
// whole handshake has one deadline.
//
// From then on frames, at most [MaxFrame] bytes after the length:
//
//	D: request   length uint32, then msgpack [id uint, kind uint, body]
//	L: answer    length uint32, then msgpack [id uint, status uint, body]
//
// A request of kind 255 is the transport's own: a dialer proves another secret on this
// connection, body bin, a proof as above; the answer is the listener's proof, body bin. The
// connection counts as made with that secret from then on. See [Keyring].
//
// An id is never used twice on a connection; answers come in any order. The body is the
// user's msgpack up to the end of the frame. Statuses: 0 done; 1 failed, the body is a
// str; 2 busy, the request was not looked at, no body. Whatever does not parse, or is
// too long, closes that connection and nothing else.
package transport
