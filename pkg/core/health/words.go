package health

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/rpo"
)

// Newest names the newest recovery point and its time.
func (g Group) Newest() string {
	if g.Journal == nil || g.Journal.Newest == nil {
		return noData
	}
	p := g.Journal.Newest
	return fmt.Sprintf("%s of %s", p.ID(), TimeText(p.Time))
}

// JournalSize says how much space the history uses of what it may use.
func (g Group) JournalSize() string {
	if g.Journal == nil {
		return noData
	}
	used := BytesText(g.Journal.Bytes)
	if g.Journal.Limit == 0 {
		return used + ", no limit"
	}
	return fmt.Sprintf("%s of %s", used, BytesText(g.Journal.Limit))
}

// rpoText is the RPO now. It has grown since a measurement that is old.
func rpoText(r *rpo.Record, now time.Time) string {
	if r == nil || r.Status == rpo.NoData || r.Status == "" {
		return noData
	}
	value := r.Value
	if d := now.Sub(r.At); d > 3*time.Second {
		value += d
	}
	if r.Bound == 0 {
		return DurationText(value) + " (clock not measured)"
	}
	return DurationText(value) + " +- " + DurationText(r.Bound)
}

// progressText says how far a copy is, at what rate, and when it will be done.
func progressText(c api.CaptureGroup, now time.Time) string {
	took := now.Sub(c.Since)
	if c.Total <= 0 || c.Since.IsZero() || took < time.Second {
		return ""
	}
	text := fmt.Sprintf(": %s of %s", BytesText(c.Done), BytesText(c.Total))
	if c.Verified > 0 {
		text += ", " + BytesText(c.Verified) + " of it were there already"
	}
	rate := float64(c.Done) / took.Seconds()
	if rate < 1 {
		return text
	}
	left := time.Duration(float64(c.Total-c.Done) / rate * float64(time.Second))
	return text + fmt.Sprintf(", %s/s, %s left", BytesText(int64(rate)), left.Round(time.Second))
}

// because appends a reason to a sentence.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// TimeText is a time in UTC, to the millisecond.
func TimeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}

// DurationText is a duration with as many digits as people read.
func DurationText(d time.Duration) string {
	switch {
	case d.Abs() < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d.Abs() < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// BytesText is a number of bytes in binary units, with two digits or more: 512 B,
// 5.0 MiB, 30 MiB. Less than 0 counts as 0.
func BytesText(n int64) string {
	n = max(n, 0)
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < 6 {
		v, unit = v/1024, unit+1
	}
	name := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit]
	if v = math.Round(v*10) / 10; v < 10 {
		return fmt.Sprintf("%.1f %s", v, name)
	}
	return fmt.Sprintf("%.0f %s", v, name)
}
