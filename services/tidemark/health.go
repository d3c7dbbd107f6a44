package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/dustin/go-humanize"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/rpo"
)

// health asks everybody about the groups; all of them with an empty name. The
// verdict does without a service that does not answer.
func (c *session) health(ctx context.Context, name string) ([]health.Group, error) {
	if name != "" {
		if _, err := c.job(ctx, name); err != nil {
			return nil, err
		}
	}
	objects, err := c.objects(ctx, spec.KindJob, name)
	if err != nil {
		return nil, err
	}
	// A long answer takes its time; that nobody is there is known at once.
	jctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	journals, jerr := c.journal().All(jctx)
	journal := map[cdp.GroupID]*api.GroupStatus{}
	for _, g := range journals.Groups {
		journal[g.Group] = &g
	}
	runs, err := states[api.RunState](ctx, c, subjects.KeyJob, name)
	if err != nil {
		return nil, err
	}
	rpos, err := states[rpo.Record](ctx, c, subjects.KeyRPO, name)
	if err != nil {
		return nil, err
	}
	failovers, err := states[failoverrun.Run](ctx, c, subjects.KeyFailover, name)
	if err != nil {
		return nil, err
	}
	captures := map[cdp.Site]captured{}
	var vms map[cdp.GroupID]*api.VMMember // asked for when one is needed
	var out []health.Group
	for _, o := range objects {
		job := o.Job.Name
		f := health.Facts{Job: *o.Job, Running: runs[job].Running(), RPO: rpos[job], Journal: journal[o.Job.Group()], JournalErr: jerr, Failover: failovers[job], Now: time.Now()}
		src := o.Job.Source.Site
		if _, asked := captures[src]; !asked {
			captures[src] = c.captured(ctx, src, cdp.GroupID(name), time.Second+time.Duration(len(objects))*2*time.Millisecond)
		}
		f.CaptureErr = captures[src].err
		f.Capture, f.Refused = captures[src].groups[o.Job.Group()], captures[src].refused[o.Job.Group()]
		if f.NeedsMember() {
			if vms == nil {
				vms = c.vmMembers(ctx)
			}
			f.Member = vms[o.Job.Group()]
		}
		out = append(out, health.Judge(f))
	}
	return out, nil
}

// captured is what the capture service of a site says.
type captured struct {
	groups  map[cdp.GroupID]*api.CaptureGroup
	refused map[cdp.GroupID]*api.CaptureRefused
	err     error
}

// captured asks about one group, or with an empty name about all, for so long at
// most.
func (c *session) captured(ctx context.Context, site cdp.Site, only cdp.GroupID, most time.Duration) captured {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	x := captured{groups: map[cdp.GroupID]*api.CaptureGroup{}, refused: map[cdp.GroupID]*api.CaptureRefused{}}
	var r api.CaptureStatusReply
	x.err = c.conn.Request(ctx, site, "capture", api.CaptureStatus, api.GroupRequest{Group: only}, &r)
	for _, g := range r.Groups {
		x.groups[g.Group] = &g
	}
	for _, g := range r.Refused {
		x.refused[g.Group] = &g
	}
	return x
}

// writeHealth is the long form, for one group.
func writeHealth(w io.Writer, h health.Group) {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", h.Job)
	say("state", "%s", h.State)
	say("rpo now", "%s (objective %s)", h.RPO, h.Objective)
	if j := h.Journal; j != nil {
		say("newest", "%s", h.Newest())
		if j.Oldest != nil {
			say("oldest", "%s of %s", j.Oldest.ID(), clockText(j.Oldest.Time))
		}
		say("history", "%s, %d points", h.History, j.Points)
		say("journal", "%s; %s free on its disk; %s, %s", h.JournalSize(), humanize.IBytes(uint64(max(j.FreeBytes, 0))), j.Mode, j.State)
		clock := "not measured"
		if j.ClockBound > 0 {
			clock = fmt.Sprintf("the source is %s off, %s", round(j.ClockOffset), boundText(j.ClockBound))
		}
		say("clocks", "%s", clock)
	}
	if c := h.Capture; c != nil {
		say("capture", "%s; %d frames on the way, %s to be sent again%s", c.State, c.InFlight, humanize.IBytes(uint64(max(c.Dirty, 0))), because(c.Reason))
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
}

// because appends a reason to a sentence.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
