// Package schemas holds the JSON Schemas (2020-12) of every command, event and
// spec, their golden examples, and the AsyncAPI document, embedded.
//
//	<family>/v1/<service or area>/<verb or fact>.json   type tidemark.<family>.v1.<...>
//	spec/v1/<kind in lower case>.json                   user files
//	examples/<the same path>                            one golden example each; of
//	                                                    user files also <kind>-<which>.json
//	asyncapi.yaml                                       the channels
//
// Every field is described and no schema lets unknown fields pass. It checks
// nothing itself: package event does.
package schemas

import "embed"

// FS holds the schemas and their examples.
//
//go:embed cmd evt spec examples asyncapi.yaml
var FS embed.FS
