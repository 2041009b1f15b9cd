package policyfile

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/middleware"
)

// domains reads the rules for descriptors, as proxies send them.
func (d *decoder) domains(m *mapping) (all []middleware.Domain) {
	for i, n := range m.list("domains") {
		m := d.mapping(fmt.Sprintf("domains[%d]", i), n)
		m.require("domain", "descriptors")
		all = append(all, middleware.Domain{Name: m.text("domain"), Descriptors: d.descriptors(m)})
		m.done()
	}
	return all
}

// descriptors reads one level of a domain's tree, and all below it.
func (d *decoder) descriptors(m *mapping) (nodes []middleware.DescriptorNode) {
	for i, n := range m.list("descriptors") {
		nodes = append(nodes, d.descriptor(fmt.Sprintf("%s[%d]", m.at("descriptors"), i), n))
	}
	return nodes
}

// descriptor reads one place of the tree.
func (d *decoder) descriptor(path string, n *yaml.Node) middleware.DescriptorNode {
	m := d.mapping(path, n)
	m.require("key")
	one := middleware.DescriptorNode{Key: m.text("key"), Value: m.text("value"), Unlimited: m.flag("unlimited")}
	if n := m.get("rule"); n != nil {
		r := d.rule(m.at("rule"), n)
		one.Rule = &r
	}
	one.Descriptors = d.descriptors(m)
	m.done()
	return one
}
