package failoverrun_test

import (
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// world is a journal with its source and the site's vCenter: every request is
// idempotent, and each effect is counted when it really changes something.
type world struct {
	head, base, replica cdp.Seq // replica: what a seal would hand over
	halted, sealed      bool
	open                map[string]cdp.Seq
	scratch             int
	absorbed            bool
	attested            string // the note on the point
	effects             map[recovery.Step]int

	released, attached, running, dirty, kept bool // the replica VM
	test                                     testVM
	old                                      oldVM
}

// oldVM is the VM at the source, which runs at first.
type oldVM struct {
	off, banned, wasOn bool
	turn               uint64
}

// fence does what the source does for a request: nothing for an old one. No VM is
// powered on while the other one runs.
func (w *world) fence(r api.FenceRequest) error {
	if r.Turn < w.old.turn {
		return nil
	}
	if r.Want == recovery.Fenced {
		if r.Turn > w.old.turn {
			w.old.wasOn = w.old.wasOn || !w.old.off
		}
		w.old.turn, w.old.off, w.old.banned = r.Turn, true, true
		return nil
	}
	if r.Want == recovery.Restored && w.old.wasOn {
		if w.running {
			return fmt.Errorf("the VM at the source is started while the replica VM runs")
		}
		w.old.off = false
	}
	w.old.turn, w.old.banned, w.old.wasOn = r.Turn, false, false
	return nil
}

// testVM is the VM of a test.
type testVM struct{ built, filled, attached, running bool }

func newWorld() *world {
	return &world{head: 100, base: 40, replica: 40, open: map[string]cdp.Seq{}, effects: map[recovery.Step]int{}}
}

// live is a moment in which the source and the VM write.
func (w *world) live() {
	w.head += 7
	w.dirty = w.dirty || w.running
}

// do does a step as the journal would.
func (w *world) do(s failoverrun.Run, r recovery.Step) (failoverrun.Result, error) {
	count := func(change bool) {
		if change {
			w.effects[r]++
		}
	}
	switch r {
	case recovery.Drain:
		return failoverrun.Result{Drained: &api.DrainReply{Seq: w.head, Frame: 9}}, nil
	case recovery.Arrive:
	case recovery.Halt:
		count(!w.halted)
		w.halted = true
		captured := w.head
		return failoverrun.Result{Bounds: &cdp.Bounds{Base: w.base, Head: w.head}, Captured: &captured}, nil
	case recovery.Resume:
		if w.attached {
			return failoverrun.Result{}, cdp.Errorf(cdp.Internal, "resume", "", "the images are not here")
		}
		count(w.halted)
		w.halted, w.released = false, false
	case recovery.Resolve:
		seq := w.head
		if s.Drained != nil {
			seq = s.Drained.Seq
		}
		return failoverrun.Result{Resolved: &api.Resolved{Seq: seq, Point: &cdp.Point{Frame: 9, Seq: seq}}}, nil
	case recovery.Open:
		seq, was := w.open[s.ExportID()]
		if was && seq != s.Resolved.Seq {
			return failoverrun.Result{}, cdp.Errorf(cdp.Conflict, "open", "", "open at another seq")
		}
		count(!was)
		w.open[s.ExportID()] = s.Resolved.Seq
		w.scratch = 1
		return failoverrun.Result{Export: &api.Export{ID: s.ExportID(), Seq: s.Resolved.Seq}}, nil
	case recovery.Move:
		count(w.base != s.Resolved.Seq)
		w.base, w.replica = s.Resolved.Seq, s.Resolved.Seq
	case recovery.Absorb:
		if _, ok := w.open[s.ExportID()]; !ok || w.base != s.Resolved.Seq {
			return failoverrun.Result{}, cdp.Errorf(cdp.Internal, "absorb", "", "no export, or base is elsewhere")
		}
		count(!w.absorbed)
		w.absorbed = true
	case recovery.Close:
		_, ok := w.open[s.ExportID()]
		count(ok)
		delete(w.open, s.ExportID())
		w.scratch = 0
	case recovery.Attest:
		if len(w.open) > 0 || w.test.built {
			return failoverrun.Result{}, cdp.Errorf(cdp.Internal, "attest", "", "the test is not cleaned up")
		}
		count(w.attested != s.Verdict.Note)
		w.attested = s.Verdict.Note
	case recovery.Seal:
		count(!w.sealed)
		w.sealed = true
		return failoverrun.Result{Paths: []string{"/replica"}}, nil
	default:
		return w.vm(s, r, count)
	}
	return failoverrun.Result{}, nil
}

// vm does a step of a failover to a VM.
func (w *world) vm(s failoverrun.Run, r recovery.Step, count func(bool)) (failoverrun.Result, error) {
	must := func(ok bool) error {
		if ok {
			return nil
		}
		return cdp.Errorf(cdp.Internal, string(r), "", "not now: %+v", w)
	}
	vm := &api.VMRun{Name: "web", Power: "on"}
	attached, running := &w.attached, &w.running
	if s.Mode == recovery.Test {
		attached, running = &w.test.attached, &w.test.running
	}
	switch r {
	case recovery.FenceVM:
		return failoverrun.Result{Text: "it is off"}, w.fence(s.FenceRequest())
	case recovery.Release:
		count(!w.released)
		w.released = true
		return failoverrun.Result{}, must(w.halted && w.base == s.Resolved.Seq)
	case recovery.Build:
		count(!w.test.built)
		w.test.built = true
		return failoverrun.Result{Paths: []string{"/scratch"}, VM: vm}, nil
	case recovery.Fill:
		count(!w.test.filled)
		w.test.filled = true
		return failoverrun.Result{}, must(len(s.Scratch) == 1 && w.test.built)
	case recovery.Attach:
		count(!*attached)
		*attached = true
		return failoverrun.Result{VM: vm}, must(s.Mode == recovery.Test && w.test.filled || w.released)
	case recovery.Boot:
		count(!*running)
		*running = true
		return failoverrun.Result{VM: vm}, must(*attached && (!s.Planned || w.old.off && w.old.banned))
	case recovery.Check:
		vm.Checks = []api.VMCheckResult{{Name: "tools", OK: true}, {Name: "ping", OK: w.head%2 == 0}}
		return failoverrun.Result{VM: vm}, must(*running)
	case recovery.Stop:
		count(*running)
		*running = false
	case recovery.Return:
		count(w.attached)
		err := must(!w.running)
		w.attached, w.dirty = false, false
		return failoverrun.Result{}, err
	case recovery.Keep:
		count(!w.kept)
		w.kept = true
		return failoverrun.Result{VM: vm}, must(w.attached)
	case recovery.Remove:
		count(w.test.built)
		err := must(!w.test.running)
		w.test = testVM{}
		return failoverrun.Result{}, err
	}
	return failoverrun.Result{}, nil
}

// check is what must hold at any moment.
func (w *world) check(s failoverrun.Run) error {
	for r, n := range w.effects {
		if n > 1 {
			return fmt.Errorf("%s took effect %d times", r, n)
		}
	}
	if s.Mode == recovery.Test && (w.halted || w.sealed || w.base != 40 || w.absorbed || w.released || w.attached) {
		return fmt.Errorf("a test has changed something: %+v", w)
	}
	if _, owed := s.Owed(); s.Phase == recovery.Failed && w.running && !owed && !w.old.off {
		return fmt.Errorf("the run rests, the VM at the target is on, and the fence is not owed: %+v", w)
	}
	if s.To == recovery.ToVM && s.Phase == recovery.Ready {
		if !w.running && !w.test.running || s.UsableAt.IsZero() || s.VM == nil {
			return fmt.Errorf("ready, but there is no VM: %+v", w)
		}
		for _, c := range s.VM.Checks {
			if !c.OK && !s.CheckFailed {
				return fmt.Errorf("ready, and the failed check is not reported")
			}
		}
	}
	return nil
}

// over is what must hold when the run is over.
func (w *world) over(s failoverrun.Run) error {
	if len(w.open) > 0 || w.scratch > 0 {
		return fmt.Errorf("%s, but something is open", s.Phase)
	}
	if err := w.judged(s); err != nil {
		return err
	}
	if w.test != (testVM{}) {
		return fmt.Errorf("%s, but the test's VM is there: %+v", s.Phase, w)
	}
	if s.Phase != recovery.Committed {
		if w.halted || w.sealed || w.released || w.attached || w.running || w.dirty || s.VM != nil {
			return fmt.Errorf("%s, but replication does not go on: %+v", s.Phase, w)
		}
		if w.old.off || w.old.banned {
			return fmt.Errorf("%s, but the VM at the source is not as it was: %+v", s.Phase, w.old)
		}
		return nil
	}
	if fences := s.To == recovery.ToVM && s.Pinned.Spec.Source.VM != ""; w.old.off != fences || w.old.banned != fences {
		return fmt.Errorf("committed, and the VM at the source is %+v", w.old)
	}
	if !w.sealed || w.replica != s.Resolved.Seq || s.To == recovery.ToNBD != w.absorbed || s.To == recovery.ToVM != w.kept || w.kept && !w.attached {
		return fmt.Errorf("committed, but the replica is not the disk: %+v", w)
	}
	return nil
}

// judged is what must hold of a verdict when the run is over.
func (w *world) judged(s failoverrun.Run) error {
	note, passed := "", false
	if s.Verdict != nil && s.Phase == recovery.Cleaned {
		note, passed = s.Verdict.Note, s.Verdict.Verdict == cdp.Passed
	}
	if s.Resolved != nil && w.attested != note {
		return fmt.Errorf("the verdict is %q, and the point says %q", note, w.attested)
	}
	if passed == s.TestPassed.IsZero() {
		return fmt.Errorf("passed %v, but the last test that passed was at %s", passed, s.TestPassed)
	}
	return nil
}
