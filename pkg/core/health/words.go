package health

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Newest names the newest recovery point and its time.
func (g Group) Newest() string {
	switch {
	case g.Journal != nil && g.Journal.Newest != nil:
	case g.State == Seeding || g.State == Starting:
		return noneYet
	default:
		return noData
	}
	p := g.Journal.Newest
	return fmt.Sprintf("%s of %s", p.ID(), TimeText(p.Time))
}

// NewestID names the newest recovery point.
func (g Group) NewestID() string {
	id, _, _ := strings.Cut(g.Newest(), " of ")
	return id
}

// NewestTime is the time of the newest recovery point; empty without one.
func (g Group) NewestTime() string {
	_, at, _ := strings.Cut(g.Newest(), " of ")
	return at
}

// StateText is the state with the progress of a copy.
func (g Group) StateText() string { return stateText(g.State, g.Copy) }

// StateText is the state with the progress of a copy.
func (v VM) StateText() string { return stateText(v.State, v.Copy) }

func stateText(s State, c *Copy) string {
	if c == nil || s != Seeding && s != Resyncing {
		return string(s)
	}
	return string(s) + " " + c.Short()
}

// RPOText sets the RPO against its objective: 4.42s of 5s.
func (g Group) RPOText() string {
	if g.RPOSeconds == nil {
		return g.RPO
	}
	return DurationText(time.Duration(*g.RPOSeconds*float64(time.Second))) + " of " + g.Objective
}

// ErrorText is the greatest error of the RPO.
func (g Group) ErrorText() string {
	switch {
	case g.RPOErrorSeconds != nil:
		return "+- " + DurationText(time.Duration(*g.RPOErrorSeconds*float64(time.Second)))
	case g.RPOSeconds != nil:
		return "not measured"
	}
	return ""
}

// JournalShare says in few words how full the journal is.
func (g Group) JournalShare() string {
	if g.Journal == nil || g.Journal.Limit == 0 {
		used, _, _ := strings.Cut(g.JournalSize(), ", ")
		return used
	}
	return fmt.Sprintf("%d%% of %s", int64(float64(g.Journal.Bytes)/float64(g.Journal.Limit)*100), BytesText(g.Journal.Limit))
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
