package event

import (
	"encoding/json"

	"tidemark.dev/pkg/cdp"
)

// SiteApply asks the vcenter service to write a site's description.
type SiteApply struct {
	Site cdp.Site `json:"site"`
	// Document is a Site as users write it, as JSON.
	Document json.RawMessage `json:"document"`
}

// EventType implements Payload.
func (SiteApply) EventType() string { return "tidemark.cmd.v1.vcenter.site-apply" }

// About implements Payload.
func (p SiteApply) About() string { return string(p.Site) }

// SiteDelete asks the vcenter service to delete the description of a site that
// no job uses.
type SiteDelete struct {
	Site cdp.Site `json:"site"`
}

// EventType implements Payload.
func (SiteDelete) EventType() string { return "tidemark.cmd.v1.vcenter.site-delete" }

// About implements Payload.
func (p SiteDelete) About() string { return string(p.Site) }

// SiteApplied reports that a site's spec was written.
type SiteApplied struct {
	Site     cdp.Site `json:"site"`
	Revision uint64   `json:"revision"`
}

// EventType implements Payload.
func (SiteApplied) EventType() string { return "tidemark.evt.v1.site.applied" }

// About implements Payload.
func (p SiteApplied) About() string { return string(p.Site) }

// SiteDeleted reports that a site's spec was deleted.
type SiteDeleted struct {
	Site cdp.Site `json:"site"`
}

// EventType implements Payload.
func (SiteDeleted) EventType() string { return "tidemark.evt.v1.site.deleted" }

// About implements Payload.
func (p SiteDeleted) About() string { return string(p.Site) }
