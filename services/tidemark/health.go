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
	"tidemark.dev/pkg/core/rpo"
	"tidemark.dev/services/scheduler"
)

// health is how one job stands, in words an operator can act on at night.
type health struct {
	Job       string            `json:"job"`
	State     string            `json:"state"` // see judge
	RPO       string            `json:"rpo"`
	Objective string            `json:"objective"`
	History   string            `json:"history"`
	Problems  []problem         `json:"problems,omitempty"`
	Journal   *api.GroupStatus  `json:"journal,omitempty"`
	Capture   *api.CaptureGroup `json:"capture,omitempty"`
	Failover  *failoverrun.Run  `json:"failover,omitempty"`
	Measured  *rpo.Record       `json:"measured,omitempty"`
}

// problem is what is wrong and what to do about it.
type problem struct {
	Text string `json:"text"`
	Do   string `json:"do,omitempty"`
}

// facts are what judge looks at. Nil means: not known.
type facts struct {
	job        spec.ReplicationJob
	run        *scheduler.RunState
	rpo        *rpo.Record
	journal    *api.GroupStatus
	journalErr error
	capture    *api.CaptureGroup
	captureErr error
	refused    *api.CaptureRefused // why it is not captured
	failover   *failoverrun.Run
	member     *api.VMMember // of a VM whose writes nobody tells
	now        time.Time
}

// health asks everybody about the jobs; all of them with an empty name. Of a
// service that does not answer the state is judged without it.
func (c *session) health(ctx context.Context, name string) ([]health, error) {
	if name != "" {
		if _, err := c.job(ctx, name); err != nil {
			return nil, err
		}
	}
	objects, err := c.objects(ctx, spec.KindJob, name)
	if err != nil {
		return nil, err
	}
	// A long answer takes its time; of who is away it is known at once.
	jctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	journals, jerr := c.journal().All(jctx)
	journal := map[cdp.GroupID]*api.GroupStatus{}
	for _, g := range journals.Groups {
		journal[g.Group] = &g
	}
	runs, err := states[scheduler.RunState](ctx, c, subjects.KeyJob, name)
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
	var out []health
	for _, o := range objects {
		job := o.Job.Name
		f := facts{job: *o.Job, journal: journal[o.Job.Group()], journalErr: jerr, run: runs[job], rpo: rpos[job], failover: failovers[job], now: time.Now()}
		src := o.Job.Source.Site
		if _, asked := captures[src]; !asked {
			captures[src] = c.captured(ctx, src, cdp.GroupID(name), time.Second+time.Duration(len(objects))*2*time.Millisecond)
		}
		f.captureErr = captures[src].err
		f.capture, f.refused = captures[src].groups[o.Job.Group()], captures[src].refused[o.Job.Group()]
		if f.unseen() {
			if vms == nil {
				vms = c.vmMembers(ctx)
			}
			f.member = vms[o.Job.Group()]
		}
		out = append(out, judge(f))
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

// write is the long form, for one job.
func (h health) write(w io.Writer) {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", h.Job)
	say("state", "%s", h.State)
	say("rpo now", "%s (objective %s)", h.RPO, h.Objective)
	if j := h.Journal; j != nil {
		say("newest", "%s", h.newest())
		if j.Oldest != nil {
			say("oldest", "%s of %s", j.Oldest.ID(), clockText(j.Oldest.Time))
		}
		say("history", "%s, %d points", h.History, j.Points)
		say("journal", "%s; %s free on its disk; %s, %s", h.size(), humanize.IBytes(uint64(max(j.FreeBytes, 0))), j.Mode, j.State)
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

func (h health) newest() string {
	if h.Journal == nil || h.Journal.Newest == nil {
		return "no data"
	}
	p := h.Journal.Newest
	return fmt.Sprintf("%s of %s", p.ID(), clockText(p.Time))
}

func (h health) size() string {
	if h.Journal == nil {
		return "no data"
	}
	used := humanize.IBytes(uint64(max(h.Journal.Bytes, 0)))
	if h.Journal.Limit == 0 {
		return used + ", no limit"
	}
	return fmt.Sprintf("%s of %s", used, humanize.IBytes(uint64(h.Journal.Limit)))
}

// rpoText is the RPO now. Between two measurements it has grown.
func rpoText(r *rpo.Record, now time.Time) string {
	if r == nil || r.Status == rpo.NoData || r.Status == "" {
		return "no data"
	}
	value := r.Value
	if d := now.Sub(r.At); d > 3*time.Second { // the monitor is silent; time is not
		value += d
	}
	if r.Bound == 0 {
		return round(value) + " (clock not measured)"
	}
	return round(value) + " +- " + round(r.Bound)
}
