package middleware

import "fmt"

// What rules may be called.

// ruleNameMax is the longest name of a rule, and of a namespace.
const ruleNameMax = 64

// checkNames makes sure that there are rules, and that their names are fit to be
// keys, header values and labels.
func checkNames(p Policy) error {
	seen := make(map[string]string)
	check := func(path string, rules []Rule) error {
		for i, r := range rules {
			if err := checkName(seen, fmt.Sprintf("%s[%d]", path, i), r.Name); err != nil {
				return err
			}
		}
		return nil
	}
	if len(p.Deny) > 0 {
		seen[denied] = "Deny"
	}
	if err := check("always", p.Always); err != nil {
		return err
	}
	if err := check("default", p.Default); err != nil {
		return err
	}
	for i, r := range p.Routes {
		if err := check(fmt.Sprintf("routes[%d].rules", i), r.Rules); err != nil {
			return err
		}
	}
	if err := check("asked", p.Asked); err != nil {
		return err
	}
	if len(p.Domains) > 0 {
		seen[RuleOfRequest] = "Domains"
	}
	if err := p.described(func(path string, r Rule) error { return checkName(seen, path, r.Name) }); err != nil {
		return err
	}
	if len(seen) == 0 {
		return &PolicyError{Path: "default", Reason: "is empty, and no route has a rule: nothing would be limited"}
	}
	return nil
}

// checkName checks the name of the rule at a path, and adds it to those that were seen.
func checkName(seen map[string]string, path, name string) error {
	switch first, twice := seen[name]; {
	case name == "":
		return &PolicyError{Path: path + ".name", Reason: "is missing"}
	case len(name) > ruleNameMax || !isPrintable(name):
		return fieldError(path+".name", name, fmt.Sprintf("is not printable ASCII of at most %d bytes", ruleNameMax))
	case twice:
		return fieldError(path+".name", name, "is already the name of "+first)
	}
	seen[name] = (&PolicyError{Path: path}).Field()
	return nil
}
