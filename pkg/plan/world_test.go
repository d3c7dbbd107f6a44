package plan_test

import (
	"fmt"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/plan"
)

// world is a journal with its source and the site's vCenter: every request is
// idempotent, and each effect is counted when it really changes something.
type world struct {
	head, base, replica cdp.Seq // replica: what a seal would hand over
	halted, sealed      bool
	open                map[string]cdp.Seq
	scratch             int
	absorbed            bool
	effects             map[plan.Room]int

	released, attached, running, dirty, kept bool // the replica VM
	test                                     testVM
}

// testVM is the VM of a test.
type testVM struct{ built, filled, attached, running bool }

func newWorld() *world {
	return &world{head: 100, base: 40, replica: 40, open: map[string]cdp.Seq{}, effects: map[plan.Room]int{}}
}

// live is a moment in which the source writes.
func (w *world) live() {
	w.head += 7
	w.dirty = w.dirty || w.running
}

// do does a step as the journal would.
func (w *world) do(s plan.State, r plan.Room) (plan.Result, error) {
	count := func(change bool) {
		if change {
			w.effects[r]++
		}
	}
	switch r {
	case plan.Drain:
		return plan.Result{Drained: &api.DrainReply{Seq: w.head, Frame: 9}}, nil
	case plan.Arrive:
	case plan.Halt:
		count(!w.halted)
		w.halted = true
		captured := w.head
		return plan.Result{Bounds: &cdp.Bounds{Base: w.base, Head: w.head}, Captured: &captured}, nil
	case plan.Resume:
		if w.attached {
			return plan.Result{}, cdp.Errorf(cdp.Internal, "resume", "", "the images are not here")
		}
		count(w.halted)
		w.halted, w.released = false, false
	case plan.Resolve:
		seq := w.head
		if s.Drained != nil {
			seq = s.Drained.Seq
		}
		return plan.Result{Resolved: &api.Resolved{Seq: seq}}, nil
	case plan.Open:
		seq, was := w.open[s.ExportID()]
		if was && seq != s.Resolved.Seq {
			return plan.Result{}, cdp.Errorf(cdp.Conflict, "open", "", "open at another seq")
		}
		count(!was)
		w.open[s.ExportID()] = s.Resolved.Seq
		w.scratch = 1
		return plan.Result{Export: &api.Export{ID: s.ExportID(), Seq: s.Resolved.Seq}}, nil
	case plan.Move:
		count(w.base != s.Resolved.Seq)
		w.base, w.replica = s.Resolved.Seq, s.Resolved.Seq
	case plan.Absorb:
		if _, ok := w.open[s.ExportID()]; !ok || w.base != s.Resolved.Seq {
			return plan.Result{}, cdp.Errorf(cdp.Internal, "absorb", "", "no export, or base is elsewhere")
		}
		count(!w.absorbed)
		w.absorbed = true
	case plan.Close:
		_, ok := w.open[s.ExportID()]
		count(ok)
		delete(w.open, s.ExportID())
		w.scratch = 0
	case plan.Seal:
		count(!w.sealed)
		w.sealed = true
		return plan.Result{Paths: []string{"/replica"}}, nil
	default:
		return w.vm(s, r, count)
	}
	return plan.Result{}, nil
}

// vm does a step of a failover to a VM.
func (w *world) vm(s plan.State, r plan.Room, count func(bool)) (plan.Result, error) {
	must := func(ok bool) error {
		if ok {
			return nil
		}
		return cdp.Errorf(cdp.Internal, string(r), "", "not now: %+v", w)
	}
	vm := &api.VMRun{Name: "web", Power: "on"}
	attached, running := &w.attached, &w.running
	if s.Mode == "test" {
		attached, running = &w.test.attached, &w.test.running
	}
	switch r {
	case plan.Release:
		count(!w.released)
		w.released = true
		return plan.Result{}, must(w.halted && w.base == s.Resolved.Seq)
	case plan.Build:
		count(!w.test.built)
		w.test.built = true
		return plan.Result{Paths: []string{"/scratch"}, VM: vm}, nil
	case plan.Fill:
		count(!w.test.filled)
		w.test.filled = true
		return plan.Result{}, must(len(s.Scratch) == 1 && w.test.built)
	case plan.Attach:
		count(!*attached)
		*attached = true
		return plan.Result{VM: vm}, must(s.Mode == "test" && w.test.filled || w.released)
	case plan.Boot:
		count(!*running)
		*running = true
		return plan.Result{VM: vm}, must(*attached)
	case plan.Check:
		vm.Checks = []api.VMCheckResult{{Name: "tools", OK: true}, {Name: "ping", OK: w.head%2 == 0}}
		return plan.Result{VM: vm}, must(*running)
	case plan.Stop:
		count(*running)
		*running = false
	case plan.Return:
		count(w.attached)
		err := must(!w.running)
		w.attached, w.dirty = false, false
		return plan.Result{}, err
	case plan.Keep:
		count(!w.kept)
		w.kept = true
		return plan.Result{VM: vm}, must(w.attached)
	case plan.Remove:
		count(w.test.built)
		err := must(!w.test.running)
		w.test = testVM{}
		return plan.Result{}, err
	}
	return plan.Result{}, nil
}

// check is what must hold at any moment.
func (w *world) check(s plan.State) error {
	for r, n := range w.effects {
		if n > 1 {
			return fmt.Errorf("%s took effect %d times", r, n)
		}
	}
	if s.Mode == "test" && (w.halted || w.sealed || w.base != 40 || w.absorbed || w.released || w.attached) {
		return fmt.Errorf("a test has changed something: %+v", w)
	}
	if s.To == "vm" && s.Phase == plan.Ready {
		if !w.running && !w.test.running || s.UsableAt.IsZero() || s.VM == nil {
			return fmt.Errorf("ready, but there is no VM: %+v", w)
		}
		for _, c := range s.VM.Checks {
			if !c.OK && !s.CheckFailed {
				return fmt.Errorf("ready, and nobody is told that a check failed")
			}
		}
	}
	return nil
}

// over is what must hold when the run is over.
func (w *world) over(s plan.State) error {
	if len(w.open) > 0 || w.scratch > 0 {
		return fmt.Errorf("%s, but something is open", s.Phase)
	}
	if w.test != (testVM{}) {
		return fmt.Errorf("%s, but the test's VM is there: %+v", s.Phase, w)
	}
	if s.Phase != plan.Committed {
		if w.halted || w.sealed || w.released || w.attached || w.running || w.dirty || s.VM != nil {
			return fmt.Errorf("%s, but replication does not go on: %+v", s.Phase, w)
		}
		return nil
	}
	if !w.sealed || w.replica != s.Resolved.Seq || s.To == "nbd" != w.absorbed || s.To == "vm" != w.kept || w.kept && !w.attached {
		return fmt.Errorf("committed, but the replica is not the disk: %+v", w)
	}
	return nil
}
