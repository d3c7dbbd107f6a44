package api

import (
	"encoding/json"
	"errors"
	"strconv"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// ApplyRequest asks the service that owns a kind to check a document and, unless
// DryRun, to write it.
type ApplyRequest struct {
	// Document is apiVersion, kind, metadata and spec, as users write it, as JSON.
	Document json.RawMessage `json:"document"`
	DryRun   bool            `json:"dryRun,omitempty"`
}

// Change says what applying a document does to what is stored.
type Change string

const (
	Created   Change = "created"
	Changed   Change = "changed"
	Unchanged Change = "unchanged"
)

// ApplyReply answers an ApplyRequest. With Problems nothing was written, and
// Change is empty.
type ApplyReply struct {
	Kind   string `json:"kind"` // Site, ReplicationJob or SiteRecoveryJob
	Name   string `json:"name"`
	Change Change `json:"change,omitempty"`
	// VMs is how many VMs a job on VMs protects; absent for other documents.
	VMs *int `json:"vms,omitempty"`
	// Joins and Leaves are the VMs that the change of a job adds and drops.
	Joins  []string `json:"joins,omitempty"`
	Leaves []string `json:"leaves,omitempty"`
	// Problems refuse the document; they are all there are. Warnings refuse
	// nothing.
	Problems []Problem `json:"problems,omitempty"`
	Warnings []Problem `json:"warnings,omitempty"`
}

// Problem is one thing wrong with a document.
type Problem struct {
	// Kind is what an error of this problem alone would be: Invalid for a document
	// that can never be applied, Conflict for one that cannot be applied now,
	// Transient where something did not answer.
	Kind cdp.Kind `json:"kind"`
	VM   string   `json:"vm,omitempty"`   // empty: the object as a whole
	Path string   `json:"path,omitempty"` // JSON pointer of the field
	Rule string   `json:"rule"`           // what it breaks
	Text string   `json:"text"`
	Hint string   `json:"hint,omitempty"` // what to do
}

// String is the problem in one line, without the hint.
func (p Problem) String() string {
	s := ""
	if p.VM != "" {
		s = p.VM + ": "
	}
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Text
}

// SiteRequest names a site.
type SiteRequest struct {
	Site cdp.Site `json:"site"`
}

// Err is the problems as one error, whose kind is Transient if any of them is,
// else that of the first; nil without problems.
func (r ApplyReply) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	e := &cdp.Error{Op: "apply " + opName(r.Kind), Kind: r.Problems[0].Kind, Subject: r.Name}
	text := "1 problem, nothing was changed"
	if n := len(r.Problems); n > 1 {
		text = strconv.Itoa(n) + " problems, nothing was changed"
	}
	for _, p := range r.Problems {
		text += "\n" + p.String()
		switch {
		case p.Hint == "":
		case len(r.Problems) == 1:
			e.Hint = p.Hint
		default:
			text += " (" + p.Hint + ")"
		}
		if p.Kind == cdp.Transient {
			e.Kind = cdp.Transient
		}
	}
	e.Cause = errors.New(text)
	return e
}

// opName is what an error calls a kind of document.
func opName(kind string) string {
	switch kind {
	case spec.KindSite:
		return "site"
	case spec.KindPlan:
		return "site recovery job"
	}
	return "job"
}
