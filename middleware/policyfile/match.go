package policyfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/middleware"
)

// matches reads deny or allow: each entry is a network, an address, or subjects of a key.
func (d *decoder) matches(m *mapping, name string) (all []middleware.Match) {
	for i, n := range m.list(name) {
		at := fmt.Sprintf("%s[%d]", name, i)
		if n.Kind == yaml.MappingNode {
			all = append(all, d.match(at, n))
			continue
		}
		d.lines[at+".networks[0]"], d.written[at+".networks[0]"] = line(n), at
		network := d.network(at, n, "is not a network such as 10.0.0.0/8, an address, or {key: …, subjects: …}")
		all = append(all, middleware.Match{Networks: []netip.Prefix{network}})
	}
	return all
}

// match reads subjects of a key.
func (d *decoder) match(path string, n *yaml.Node) (one middleware.Match) {
	m := d.mapping(path, n)
	m.require("key", "subjects")
	hashed := false
	if n := m.get("key"); n != nil {
		one.Key = d.key(m.at("key"), n)
		hashed = n.Value == "bearer"
	}
	for i, n := range m.list("subjects") {
		at := fmt.Sprintf("%s[%d]", m.at("subjects"), i)
		d.lines[at] = line(n)
		subject := d.text(at, n)
		if hashed {
			sum, err := hex.DecodeString(subject)
			if err != nil || len(sum) != sha256.Size {
				// Nothing of it is shown: it may be a token.
				d.add(&Error{Line: line(n), Field: at, Reason: "is not the SHA-256 of a token in 64 hexadecimal digits"})
			}
			subject = string(sum)
		}
		one.Subjects = append(one.Subjects, subject)
	}
	m.done()
	return one
}
