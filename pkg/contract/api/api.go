// Package api has the requests and replies between Tidemark's services, on
// tidemark.api.v1.<site>.<service>.<endpoint>, and the states that they share. It
// holds shapes and decodes a request into its shape (Answer); package bus carries
// them as JSON.
//
// What it never does: it sends nothing and decides nothing.
package api

import "tidemark.dev/pkg/cdp"

// Empty is the reply of an endpoint that returns nothing.
type Empty struct{}

// GroupRequest names a group. A group has the name of its job.
type GroupRequest struct {
	// Target limits the reply to groups whose job has this target site. Empty: all.
	// Only capture has groups of several targets.
	Target cdp.Site    `json:"target,omitempty"`
	Group  cdp.GroupID `json:"group,omitempty"`
}
