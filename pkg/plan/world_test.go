package plan_test

import (
	"fmt"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/plan"
)

// world is a journal with its source: every request is idempotent, and each
// effect is counted when it really changes something.
type world struct {
	head, base, replica cdp.Seq // replica: what a seal would hand over
	halted, sealed      bool
	open                map[string]cdp.Seq
	scratch             int
	absorbed            bool
	effects             map[plan.Room]int
}

func newWorld() *world {
	return &world{head: 100, base: 40, replica: 40, open: map[string]cdp.Seq{}, effects: map[plan.Room]int{}}
}

// live is a moment in which the source writes.
func (w *world) live() {
	w.head += 7
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
		count(w.halted)
		w.halted = false
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
	if s.Mode == "test" && (w.halted || w.sealed || w.base != 40 || w.absorbed) {
		return fmt.Errorf("a test has changed something: %+v", w)
	}
	return nil
}

// over is what must hold when the run is over.
func (w *world) over(s plan.State) error {
	if len(w.open) > 0 || w.scratch > 0 {
		return fmt.Errorf("%s, but something is open", s.Phase)
	}
	if s.Phase != plan.Committed {
		if w.halted || w.sealed {
			return fmt.Errorf("%s, but replication does not go on: %+v", s.Phase, w)
		}
		return nil
	}
	if !w.sealed || w.replica != s.Resolved.Seq || s.To == "nbd" != w.absorbed {
		return fmt.Errorf("committed, but the replica is not the disk: %+v", w)
	}
	return nil
}
