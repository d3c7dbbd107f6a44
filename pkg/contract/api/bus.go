package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// BusApply makes the site's streams and consumers what they are declared to be; served by
// set-up: BusApplyRequest -> BusApplyReply. It is idempotent.
const BusApply = "bus-apply"

// BusApplyRequest asks for it. With DryRun nothing is changed.
type BusApplyRequest struct {
	DryRun bool `json:"dryRun,omitempty"`
}

// BusApplyReply says what was not as declared before.
type BusApplyReply struct {
	Differences []BusDifference `json:"differences"`
}

// BusDifference is one thing of the bus that is not as it is declared.
type BusDifference struct {
	What string `json:"what"` // stream, consumer or link
	Name string `json:"name"` // of a consumer: its stream, a slash, and its name; of a link: the site
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // what to do, if applying does not change it
}

// BrokenLink is a link of a site that cannot come up, as far as its own server knows why:
// keys, certificates or accounts that do not fit.
func BrokenLink(of cdp.Site, text, hint string) BusDifference {
	return BusDifference{What: "link", Name: string(of), Text: text, Hint: hint}
}

// IsLink reports whether it is a link.
func (d BusDifference) IsLink() bool { return d.What == "link" }

// BusPart is a stream or a consumer of the bus, as it is now.
type BusPart struct {
	What string `json:"what"` // stream, consumer or copy
	Name string `json:"name"`
	// Messages and Bytes are what a stream holds; Waiting is what a consumer has still to
	// hand out or to have acknowledged, or what a copy lacks.
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	Waiting  uint64 `json:"waiting"`
	// Heard is how long ago a copy was in touch with its origin; 0 for what is no copy.
	Heard time.Duration `json:"heardNanos,omitempty"`
	// Problems are what is wrong with it; Hint is what to do.
	Problems []string `json:"problems,omitempty"`
	Hint     string   `json:"hint,omitempty"`
}
