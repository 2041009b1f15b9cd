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
			at := fmt.Sprintf("%s[%d].name", path, i)
			switch first, twice := seen[r.Name]; {
			case r.Name == "":
				return &PolicyError{Path: at, Reason: "is missing"}
			case len(r.Name) > ruleNameMax || !isPrintable(r.Name):
				return fieldError(at, r.Name, fmt.Sprintf("is not printable ASCII of at most %d bytes", ruleNameMax))
			case twice:
				return fieldError(at, r.Name, "is already the name of "+first)
			}
			seen[r.Name] = (&PolicyError{Path: fmt.Sprintf("%s[%d]", path, i)}).Field()
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
	if len(seen) == 0 {
		return &PolicyError{Path: "default", Reason: "is empty, and no route has a rule: nothing would be limited"}
	}
	return nil
}
