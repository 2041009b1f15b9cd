package transport

// Preface is how the dialer of every connection of this package begins.
const Preface = "weir"

// Wire is the version of the wire that this code speaks best, major and minor: sides whose majors
// differ refuse each other, and whose minors differ speak the lower one.
const Wire = "1.1"

const (
	wireVersion = 1 // the major part
	minorLow    = 1 // the lowest minor part that this code speaks
	minorHigh   = 1
	flagTLS     = 1 << 0

	prefaceHead = len(Preface) + 2
	prefaceLen  = prefaceHead + proofLen
)

// status is the byte with which a listener greets, and answers the preface and the proof.
type status byte

const (
	statusGo status = iota
	statusVersion
	statusNeedsSecret
	statusNoSecret
	statusWrongSecret
	statusTooBusy
)

// reason says what a status means, in words that are true on either side.
func (s status) reason() string {
	switch s {
	case statusVersion:
		return "the dialer's wire version is not the listener's: run versions of one wire, see docs/upgrading.md"
	case statusNeedsSecret:
		return "the listener has a secret and the dialer has none"
	case statusNoSecret:
		return "the dialer has a secret and the listener has none"
	case statusWrongSecret:
		return "the secrets differ"
	case statusTooBusy:
		return "the listener has too many connections"
	}
	return "unknown status"
}

// preface returns the bytes with which a dialer answers a greeting.
func preface(cred *credentials, greeting []byte) []byte {
	head := append([]byte(Preface), wireVersion, 0)
	if cred == nil {
		return append(head, make([]byte, proofLen)...)
	}
	head[prefaceHead-1] = flagTLS
	return append(head, cred.ring.first().proof(doorBinding(greeting, head), roleDoor)...)
}

// judge decides what a listener answers to a preface of its version, the proof in it aside.
func judge(head []byte, secret bool) status {
	tls := head[prefaceHead-1]&flagTLS != 0
	switch {
	case secret && !tls:
		return statusNeedsSecret
	case !secret && tls:
		return statusNoSecret
	}
	return statusGo
}
