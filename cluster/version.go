package cluster

import "github.com/weir-go/weir/transport"

// Version is weir's semantic version, without a "v": nodes tell it to each other, see [Member].
// Which versions can be in one cluster does not follow from it but from the wire, which has a
// version of its own: docs/upgrading.md has both, and what is promised.
const Version = "0.9.0"

// Wire is the version of what nodes say to each other, major and minor. Nodes of one major are in
// one cluster, whatever their minors; those of another major, or of another ring scheme, refuse
// each other, and log what to do.
const Wire = transport.Wire
