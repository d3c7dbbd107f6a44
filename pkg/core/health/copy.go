package health

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Copy is how far a first copy or a resync is.
type Copy struct {
	Done     int64 `json:"doneBytes"`
	Total    int64 `json:"totalBytes"`
	Verified int64 `json:"verifiedBytes,omitempty"` // of Done: were at the target already
	Percent  int   `json:"percent"`                 // 0 to 100
	// Rate and Left are zero until they are known.
	Rate int64   `json:"bytesPerSecond,omitempty"`
	Left float64 `json:"secondsLeft,omitempty"`
}

// copyOf is the copy that capture reports; nil if it reports none.
func copyOf(c api.CaptureGroup, now time.Time) *Copy {
	if c.Total <= 0 || c.State != event.Seeding && c.State != event.Resyncing && c.State != event.Replicating {
		return nil
	}
	p := &Copy{Done: min(c.Done, c.Total), Total: c.Total, Verified: c.Verified}
	p.Percent = int(float64(p.Done) / float64(p.Total) * 100)
	took := now.Sub(c.Since)
	if c.Since.IsZero() || took < time.Second {
		return p
	}
	if rate := float64(p.Done) / took.Seconds(); rate >= 1 {
		p.Rate, p.Left = int64(rate), float64(p.Total-p.Done)/rate
	}
	return p
}

// Short is the copy in a few words: 34% 2m30s left.
func (p *Copy) Short() string {
	text := fmt.Sprintf("%d%%", p.Percent)
	if p.Left > 0 {
		text += " " + leftText(p.Left) + " left"
	}
	return text
}

// text appends the copy to a sentence.
func (p *Copy) text() string {
	if p == nil {
		return ""
	}
	text := fmt.Sprintf(": %s of %s (%d%%)", BytesText(p.Done), BytesText(p.Total), p.Percent)
	if p.Verified > 0 {
		text += ", " + BytesText(p.Verified) + " of it were there already"
	}
	if p.Rate > 0 {
		text += fmt.Sprintf(", %s/s, %s left", BytesText(p.Rate), leftText(p.Left))
	}
	return text
}

// leftText is a time left, in seconds, as precise as such a guess is.
func leftText(seconds float64) string {
	d := time.Duration(min(seconds, 1e9) * float64(time.Second))
	if d < time.Hour {
		return d.Round(time.Second).String()
	}
	return DurationText(d)
}
