// Package schemas holds the JSON Schemas (2020-12) of every command, event, request,
// answer and user file, their golden examples, and the AsyncAPI document, embedded.
//
//	<family>/v1/<service or area>/<verb or fact>.json   type tidemark.<family>.v1.<...>
//	api/v1/<service>/<endpoint>.json                    a request, and its type
//	api/v1/<service>/<endpoint>/answer.json             the answer to it
//	spec/v1/<kind in lower case>.json                   documents that are applied
//	config/v1/up.json                                   the file of tidemark up
//	examples/<the same path>                            one golden example each; of
//	                                                    specs also <kind>-<which>.json
//	asyncapi.yaml                                       the channels
//
// Those of requests and answers are generated from the types of pkg/contract/api. Every
// field is described, and no schema lets unknown fields pass. Schemas of user
// files carry three annotations that deploy/reference.md is generated from: x-type
// (duration, size), x-default (a default that is not a value), and x-rule (a rule
// that a schema cannot express).
//
// The package checks nothing itself: package event does.
package schemas

import "embed"

// FS holds the schemas and their examples.
//
//go:embed cmd evt api spec config examples asyncapi.yaml
var FS embed.FS
