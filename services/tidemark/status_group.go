package main

import (
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"tidemark.dev/pkg/core/health"
)

// writeHealth is the long form, for one group.
func writeHealth(w io.Writer, h health.Group) {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", h.Job)
	say("direction", "%s", h.Direction)
	say("state", "%s", paint(w, h.Level, string(h.State)))
	say("rpo now", "%s (objective %s)", h.RPO, h.Objective)
	if p := h.Copy; p != nil {
		say("copy", "%s %s", bar(p.Percent), p.Short())
	}
	if j := h.Journal; j != nil {
		say("newest", "%s", h.Newest())
		if j.Oldest != nil {
			say("oldest", "%s of %s", j.Oldest.ID(), clockText(j.Oldest.Time))
		}
		say("history", "%s, %d points", h.History, j.Points)
		say("journal", "%s; %s free on its disk; %s, %s", h.JournalSize(), humanize.IBytes(uint64(max(j.FreeBytes, 0))), j.Mode, j.State)
		clock := "not measured"
		if j.ClockBound > 0 {
			clock = fmt.Sprintf("the source is off by %s, %s", round(j.ClockOffset), boundText(j.ClockBound))
		}
		say("clocks", "%s", clock)
	}
	if c := h.Capture; c != nil {
		say("capture", "%s; %d frames in flight, %s to send again%s", c.State, c.InFlight, humanize.IBytes(uint64(max(c.Dirty, 0))), because(c.Reason))
		if c.Spool > 0 {
			say("spool", "up to %s wait at the source while the link is down", humanize.IBytes(uint64(c.Spool)))
		}
		for _, x := range c.Exports {
			say("write to", "%s", x)
		}
	}
	if f := h.Failover; f != nil && !f.Over() {
		say("failover", "%s: %s", f.ID, f.PhaseText())
	}
	if len(h.Problems) == 0 {
		say("problems", "none")
	}
	for _, p := range h.Problems {
		say("problem", "%s", p.Text)
		if p.Do != "" {
			say("  do", "%s", p.Do)
		}
	}
	if h.Of != "" {
		say("a VM of", "tidemark job status %s", h.Of)
	}
}

// because appends a reason to a sentence.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
