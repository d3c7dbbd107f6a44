package failback

import (
	"fmt"
	"strings"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/health"
)

// CopyText says how much is copied in full; empty: only what differs is sent.
func CopyText(r api.ReprotectReply) string {
	if r.Copies == 0 {
		return ""
	}
	return fmt.Sprintf("%s are copied in full to new disks at %s: nothing there holds a copy of them", health.BytesText(r.Copies), r.Job.Target.Site)
}

// OfferText says what a reversal overwrites and drops; empty if that is nothing.
func OfferText(r api.ReprotectReply) string {
	var parts []string
	if len(r.Overwrites) > 0 {
		var disks []string
		for _, d := range r.Overwrites {
			disks = append(disks, d.Path+" ("+health.BytesText(d.Size)+")")
		}
		text := fmt.Sprintf("up to %s at %s are overwritten, where they differ from what runs at %s: %s",
			health.BytesText(r.Bytes()), r.Job.Target.Site, r.Job.Source.Site, strings.Join(disks, ", "))
		switch {
		case r.Diverged == nil:
			text += "; whatever was written there since the failover is discarded, and how much that is is not known"
		case *r.Diverged > 0:
			text += fmt.Sprintf("; %d writes that were made there and are not part of the failover are discarded", *r.Diverged)
		}
		parts = append(parts, text)
	}
	if r.Drops > 0 {
		parts = append(parts, fmt.Sprintf("%d recovery points of the round before of %s are dropped, which have been unreadable since its failover was committed", r.Drops, r.Job.Name))
	}
	return strings.Join(parts, "; ")
}
