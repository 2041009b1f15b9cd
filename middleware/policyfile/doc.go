// Package policyfile reads a [middleware.Policy] from a YAML file, or from JSON, which is
// a subset of YAML, and keeps a running service on it as the file changes.
//
// What [Parse] does, in order: it checks the bounds of the text (size, lines, characters)
// and parses it within a bounded depth; turns each field into its part of the policy,
// refusing unknown fields, wrong types, numbers that are not decimal, anchors, aliases and
// tags; and has the policy checked as a whole. Whatever is wrong is told with line, field
// and value, and no text stops the service.
//
// [Guard] is a middleware on the policy of a file that follows its changes, and reloads on
// signals ([Watcher.ReloadOn]). [Watch] does the same with whatever is to follow. A new
// policy is in force only if all of it is good.
//
// docs/policy-file.md tells of every field; [Schema] is the format as a JSON Schema for
// editors, and [Reference] the contract's policy for an auth service:
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
