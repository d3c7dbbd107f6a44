package event

import "tidemark.dev/pkg/cdp"

// SiteApplied tells that a site's spec was written.
type SiteApplied struct {
	Site     cdp.Site `json:"site"`
	Revision uint64   `json:"revision"`
}

// EventType implements Payload.
func (SiteApplied) EventType() string { return "tidemark.evt.v1.site.applied" }

// About implements Payload.
func (p SiteApplied) About() string { return string(p.Site) }

// SiteDeleted tells that a site's spec was deleted.
type SiteDeleted struct {
	Site cdp.Site `json:"site"`
}

// EventType implements Payload.
func (SiteDeleted) EventType() string { return "tidemark.evt.v1.site.deleted" }

// About implements Payload.
func (p SiteDeleted) About() string { return string(p.Site) }
