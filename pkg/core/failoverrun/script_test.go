package failoverrun_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// TestScripts runs the scripts in testdata. They are rewritten with what the code
// does by: go test ./pkg/core/failoverrun -rewrite
//
//	start mode=M to=D [planned] [vm] [shutdown=S]
//	                                  begins a run of the job web, or the next one; vm:
//	                                  the job protects a VM of a vCenter
//	fence done|refused                the source's answer about its VM
//	lift                              an operator releases the VM at the source
//	done STEP [captured=N] [checks=failed]
//	moved STEP N/TOTAL                the step is in progress
//	refused STEP KIND                 the step failed with an error of that kind
//	recheck                           an operator has the VM checked again
//	ask GOAL                          an operator asks for cleanup, undo or commit
//	crash [unstored]                  the driver restarts; unstored: it stopped before
//	                                  it had stored the last change
//	finish                            all steps up to the next rest succeed
//	steps                             prints the record's steps
//	words                             prints what the operator sees
//
// Each prints the commands that the driver is given and the run's phase. A minute
// passes between two of them.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{now: t0}
		datadriven.RunTest(t, path, s.exec)
	})
}

// script is a run as its driver has it: stored, and before the last change.
type script struct {
	run, before failoverrun.Run
	now         time.Time
	out         strings.Builder
}

func (s *script) exec(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	s.now = s.now.Add(time.Minute)
	arg := func(i int) string {
		if i >= len(d.CmdArgs) {
			d.Fatalf(t, "argument %d is missing", i+1)
		}
		return d.CmdArgs[i].Key
	}
	switch d.Cmd {
	case "start":
		s.start(t, d)
	case "done":
		s.apply(failoverrun.Event{What: failoverrun.StepDone, Step: recovery.Step(arg(0)), Result: result(t, d)})
	case "moved":
		var res failoverrun.Result
		fmt.Sscanf(arg(1), "%d/%d", &res.Moved, &res.Total)
		s.apply(failoverrun.Event{What: failoverrun.StepMoved, Step: recovery.Step(arg(0)), Result: res})
	case "refused":
		err := cdp.Errorf(cdp.Kind(arg(1)), arg(0), "web", "it does not work")
		s.apply(failoverrun.Event{What: failoverrun.StepRefused, Step: recovery.Step(arg(0)), Err: err})
	case "fence":
		e := failoverrun.Event{What: failoverrun.FenceDone, Turn: s.run.Old.Turn, Text: "it is " + string(s.run.Old.Want)}
		if arg(0) == "refused" {
			e.What, e.Text = failoverrun.FenceRefused, "the site does not answer"
		}
		s.apply(e)
	case "lift":
		if err := s.run.CheckLift(); err != nil {
			return fmt.Sprintf("%s: %v\n", cdp.KindOf(err), err)
		}
		s.apply(failoverrun.Event{What: failoverrun.FenceLifted})
	case "recheck":
		if err := s.run.CheckRecheck(); err != nil {
			return fmt.Sprintf("%s: %v\n", cdp.KindOf(err), err)
		}
		s.apply(failoverrun.Event{What: failoverrun.RecheckAsked})
	case "ask":
		s.ask(recovery.Goal(arg(0)))
	case "crash":
		if d.HasArg("unstored") {
			s.run = s.before
		}
		s.apply(failoverrun.Event{What: failoverrun.Resumed})
	case "finish":
		s.finish(t, d)
	case "steps":
		for _, st := range s.run.Steps {
			fmt.Fprintf(&s.out, "%-8s %-8s %s\n", st.Goal, st.Step, st.Status)
			if st.StartedAt.IsZero() != (st.Status == recovery.Pending || st.Status == recovery.Skipped) || st.EndedAt.IsZero() == (st.Status == recovery.Done || st.Status == recovery.StepFailed) {
				t.Errorf("%s is %s, from %s to %s", st.Step, st.Status, st.StartedAt, st.EndedAt)
			}
		}
	case "words":
		for _, w := range [][2]string{{"phase", s.run.PhaseText()}, {"next", s.run.NextText()}, {"loses", s.run.Loss()}, {"old VM", s.run.OldText()}} {
			if w[1] != "" {
				fmt.Fprintf(&s.out, "%-6s %s\n", w[0]+":", w[1])
			}
		}
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return s.out.String()
}

func (s *script) start(t *testing.T, d *datadriven.TestData) {
	var mode, to string
	d.ScanArgs(t, "mode", &mode)
	d.ScanArgs(t, "to", &to)
	r := failoverrun.Request{Job: "web", ID: "r1", Mode: recovery.Mode(mode), To: recovery.Destination(to), Planned: d.HasArg("planned")}
	if d.HasArg("shutdown") {
		d.ScanArgs(t, "shutdown", (*string)(&r.Shutdown))
	}
	if err := r.Check(); err != nil {
		fmt.Fprintf(&s.out, "%s: %v\n", cdp.KindOf(err), err)
		return
	}
	var job failoverrun.Pinned
	var last *failoverrun.Run
	if d.HasArg("vm") {
		job.Spec.Source = spec.Source{Site: "prod", VM: "u1"}
		if r.ID += s.run.ID; s.run.ID != "" {
			last = &s.run
		}
	}
	var cmds []failoverrun.Command
	s.run, cmds = failoverrun.Begin(r, job, last, s.now)
	s.print(cmds)
}

// apply applies an event and prints what follows.
func (s *script) apply(e failoverrun.Event) {
	e.Now = s.now
	s.before = s.run
	var cmds []failoverrun.Command
	s.run, cmds = failoverrun.Step(s.run, e)
	s.print(cmds)
}

func (s *script) ask(g recovery.Goal) {
	if err := s.run.CheckAsk(g); err != nil {
		fmt.Fprintf(&s.out, "%s: %v\n", cdp.KindOf(err), err)
		return
	}
	s.apply(failoverrun.Event{What: failoverrun.Asked, Goal: g})
}

func (s *script) finish(t *testing.T, d *datadriven.TestData) {
	for {
		cur, busy := s.run.Current()
		if !busy {
			return
		}
		d.CmdArgs = []datadriven.CmdArg{{Key: string(cur.Step)}}
		s.apply(failoverrun.Event{What: failoverrun.StepDone, Step: cur.Step, Result: result(t, d)})
	}
}

// print prints commands, and the phase where it is new.
func (s *script) print(cmds []failoverrun.Command) {
	for _, c := range cmds {
		switch {
		case c.Tell != nil:
			fmt.Fprintf(&s.out, "tell %s %s\n", c.Tell.Step, c.Tell.Status)
		case c.Finish != "":
			fmt.Fprintf(&s.out, "finish %s\n", c.Finish)
		case c.Again:
			fmt.Fprintf(&s.out, "do %s, after a pause\n", c.Do)
		default:
			fmt.Fprintf(&s.out, "do %s\n", c.Do)
		}
	}
	if len(cmds) == 0 {
		s.out.WriteString("nothing\n")
	}
	if s.run.Phase != s.before.Phase {
		fmt.Fprintf(&s.out, "the run is %s\n", s.run.Phase)
	}
	s.before.Phase = s.run.Phase
}

// result is what a step finds out in a world where the journal has 60 writes, the
// requested point is write 50, and the source has captured 65 writes.
func result(t *testing.T, d *datadriven.TestData) (res failoverrun.Result) {
	switch recovery.Step(d.CmdArgs[0].Key) {
	case recovery.Drain:
		res.Drained = &api.DrainReply{Frame: 9, Seq: 60}
	case recovery.Halt:
		captured := cdp.Seq(65)
		if d.HasArg("captured") {
			d.ScanArgs(t, "captured", (*uint64)(&captured))
		}
		res.Bounds, res.Captured = &cdp.Bounds{Head: 60}, &captured
	case recovery.Resolve:
		res.Resolved = &api.Resolved{Seq: 50}
	case recovery.Open:
		res.Export = &api.Export{ID: "r1", Seq: 50}
	case recovery.Build:
		res.Paths, res.VM = []string{"/dev/scratch"}, &api.VMRun{Name: "web-test"}
	case recovery.Boot:
		res.VM = &api.VMRun{Name: "web", Power: inventory.PoweredOn}
	case recovery.Check:
		res.VM = &api.VMRun{Name: "web", Power: inventory.PoweredOn, Checks: []api.VMCheckResult{{Name: "ping", OK: !d.HasArg("checks")}}}
	}
	return res
}
