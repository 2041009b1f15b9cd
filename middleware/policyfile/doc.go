// Package policyfile reads a [middleware.Policy] from a YAML file, or from JSON, which is
// a subset of YAML, and keeps a running service on it as the file changes.
//
// What [Parse] does, in order: it parses the text; turns each field into its part of
// the policy, refusing unknown fields, wrong types, anchors, aliases and tags; and has
// the policy checked as a whole. Whatever is wrong is told with line, field and value.
//
// [Watch] does that on every change of the file, and puts the new policy in force only
// if all of it is good. [Schema] is the format as a JSON Schema for editors, and
// [Reference] the contract's policy for an auth service:
//
//	default:
//	  - {name: default, quota: 100, window: 1m}
//	routes:
//	  - pattern: POST /v1/token
//	    rules:
//	      - {name: token, quota: 20, window: 1m}
//	  - pattern: GET /.well-known/jwks.json
//	    exempt: true
//
// Only who imports this package links a YAML parser.
package policyfile
