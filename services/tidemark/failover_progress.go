package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
)

// follow shows a run's steps until what was asked for is done, and then the outcome.
func (a *app) follow(ctx context.Context, c *client.Client, asked client.Asked, ready bool, out format) error {
	st, err := a.followRun(ctx, c, asked, ready)
	if err != nil {
		return err
	}
	return a.outcome(st, out)
}

// followRun shows a run's steps until what was asked for is done. Steps that were done
// before are not shown again.
func (a *app) followRun(ctx context.Context, c *client.Client, asked client.Asked, ready bool) (failoverrun.Run, error) {
	p := newProgress(a)
	if old := asked.Before; old != nil {
		p.run = old.ID
		for i, st := range old.Steps {
			p.told[i] = st.Status
		}
	}
	defer p.close()
	return c.FollowFailover(ctx, asked, ready, p.show)
}

// progress shows steps: bars on a terminal, else a line per step.
type progress struct {
	a    *app
	run  string
	told map[int]recovery.StepStatus
	bars *mpb.Progress
	bar  *mpb.Bar
	step recovery.Step
}

func newProgress(a *app) *progress {
	p := &progress{a: a, told: map[int]recovery.StepStatus{}}
	if isTerminal(a.err) {
		p.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(40))
	}
	return p
}

func (p *progress) show(s failoverrun.Run) {
	if s.ID != p.run {
		p.run, p.told = s.ID, map[int]recovery.StepStatus{}
	}
	for i, st := range s.Steps {
		if p.told[i] != st.Status && (st.Status == recovery.Done || st.Status == recovery.StepFailed) {
			p.unbar()
			fmt.Fprintf(p.a.err, "  %-8s %-7s %s\n", st.Step, st.Status, st.Text)
		}
		p.told[i] = st.Status
	}
	if cur, busy := s.Current(); busy && s.Total > 0 && p.bars != nil {
		if p.step != cur.Step {
			p.unbar()
			p.step = cur.Step
			p.bar = p.bars.AddBar(s.Total, mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name(fmt.Sprintf("  %-8s ", cur.Step))), mpb.AppendDecorators(decor.Percentage()))
		}
		p.bar.SetTotal(s.Total, false)
		p.bar.SetCurrent(s.Moved)
	}
}

func (p *progress) unbar() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bar.Wait()
		p.bar, p.step = nil, ""
	}
}

func (p *progress) close() {
	p.unbar()
	if p.bars != nil {
		p.bars.Wait()
	}
}

// describe prints the state of a run.
func (a *app) describe(s failoverrun.Run) {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(a.out, "%-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("run", "%s (%s of %s)", s.ID, s.Mode, s.Job)
	say("state", "%s", s.PhaseText())
	if s.Error != "" {
		say("error", "%s", s.Error)
		if s.Hint != "" {
			say("hint", "%s", s.Hint)
		}
	}
	if r := s.Resolved; r != nil {
		name := fmt.Sprintf("write %d", r.Seq)
		if r.Point != nil {
			name = fmt.Sprintf("%s (write %d)", r.Point.ID(), r.Seq)
		}
		say("point", "%s", name)
		if !r.Time.IsZero() {
			say("point time", "%s %s", clockText(r.Time), boundText(r.Bound))
		}
	}
	if l := s.Loss(); l != "" {
		say("lost", "%s", l)
	}
	if s.VM != nil {
		say("vm", "%s", failoverrun.VMText(*s.VM))
		for _, c := range s.VM.Checks {
			say("check", "%s: %s", c.Name, cmp.Or(c.Text, map[bool]string{true: "passed", false: "failed"}[c.OK]))
		}
	}
	if text := s.VerdictText(); text != "" {
		say("verdict", "%s", plain(text))
	}
	if text := s.WindowText(); text != "" {
		say("window", "%s", text)
	}
	if text := s.OldText(); text != "" {
		say("source vm", "%s", text)
	}
	if s.Export != nil {
		for _, d := range s.Export.Disks {
			say("disk", "%s  %s", d.Name, d.URI)
		}
	} else if !s.Over() || s.Phase == recovery.Committed {
		locked := ""
		if s.To == recovery.ToFiles && s.Phase != recovery.Committed {
			locked = "  (locked until the commit)"
		}
		for _, path := range s.Paths {
			say("disk", "%s%s", path, locked)
		}
	}
	if !s.UsableAt.IsZero() {
		say("usable", "%s after the start", round(s.UsableAt.Sub(s.StartedAt)))
	}
	if s.Total > 0 {
		say("progress", "%d of %d (%s)", s.Moved, s.Total, currentStep(s))
	}
	if next := s.NextText(); next != "" {
		say("next", "%s", next)
	}
}

// describeWritten says how much was written to the run's disks, while they are served.
func (a *app) describeWritten(ctx context.Context, c *client.Client, s failoverrun.Run) {
	if s.Export == nil || s.Over() {
		return
	}
	open, err := c.Exports(ctx, s.Job)
	text, limit := "unknown: the journal does not answer", ""
	for _, x := range open {
		if x.ID == s.ExportID() && err == nil {
			text = fmt.Sprintf("%s in %d writes", humanize.IBytes(uint64(x.Written())), x.Writes())
			limit = health.ScratchText(s, x, a.clock().Now())
		}
	}
	what := "an undo discards it, a commit keeps it"
	if s.Mode == recovery.Test {
		what = "the clean-up discards it"
	}
	fmt.Fprintf(a.out, "%-10s %s; %s\n", "written", text, what)
	if limit != "" {
		fmt.Fprintf(a.out, "%-10s %s\n", "scratch", limit)
	}
}

func currentStep(s failoverrun.Run) recovery.Step {
	cur, _ := s.Current()
	return cur.Step
}
