package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// Outcomes of what was asked of a service.
const (
	AuditDone    = "done"
	AuditRefused = "refused"
)

// AuditRecord is what somebody had a service do, or tried to.
type AuditRecord struct {
	At      time.Time `json:"at"` // when it was settled
	Site    cdp.Site  `json:"site"`
	Service string    `json:"service"`
	// What is the verb of a command, or the endpoint of a request.
	What  string `json:"what"`
	About string `json:"about,omitempty"` // the job, plan or site; empty if it could not be read
	ID    string `json:"id,omitempty"`    // of a command
	// From is the site and the service that it came from, such as /dr/operator. Claimed:
	// the caller says so, for the server lets several ask for this; else no other can, but
	// for set-up. Who is the person, always as the caller says.
	From    string   `json:"from"`
	Claimed bool     `json:"claimed,omitempty"`
	Who     string   `json:"who,omitempty"`
	Outcome string   `json:"outcome"`
	Kind    cdp.Kind `json:"kind,omitempty"` // of the refusal
	Reason  string   `json:"reason,omitempty"`
	// Input is what was asked, cut to AuditInput bytes.
	Input string `json:"input,omitempty"`
}

// AuditInput is how much of an input is recorded, in bytes.
const AuditInput = 2000
