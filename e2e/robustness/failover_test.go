package robustness

import (
	"fmt"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// Whatever of the target site is killed while a failover runs: it goes on where
// it stood, or says why not; its disks are the point's; and its undo gives
// everything back.
func TestFailoverInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	time.Sleep(3 * time.Second)
	for round, mode := range []string{"production", "test", "production", "production"} {
		points := w.points()
		p := points[w.rng.IntN(len(points))]
		t.Logf("round %d: %s failover to %s", round, mode, p.ID())
		want := w.read(p)
		w.soon("failover", w.job, "--mode", mode, "--point", p.ID(), "--no-wait")
		w.killTargets()
		st := w.rests(func(s failoverrun.Run) bool {
			return s.Phase == recovery.Ready || s.Phase == recovery.Usable && mode == "test"
		})
		w.served(st.Export.ID, "the failover", want)
		if mode == "production" {
			w.same("the replica", w.replicas(), want)
		}
		wrote := w.scribble(*st.Export)
		w.killTargets()
		w.served(st.Export.ID, "the failover, after a restart", wrote)
		end := map[string][]string{"production": {"undo", "--yes"}, "test": {"cleanup"}}[mode]
		w.must(append(append([]string{"failover"}, end...), w.job, "--no-wait")...)
		w.killTargets()
		w.rests(func(s failoverrun.Run) bool { return s.Over() })
		w.nothingLeft()
		w.validate(0)
	}
	w.settle()
	w.oneChain()
}

// killTargets kills some processes of the target site, now and again.
func (w *world) killTargets() {
	w.t.Helper()
	all := []*proc.Process{w.Journal, w.Rest, w.DRNATS}
	for range 1 + w.rng.IntN(2) {
		time.Sleep(w.some(400))
		var some []*proc.Process
		for _, i := range w.rng.Perm(3)[:1+w.rng.IntN(2)] {
			some = append(some, all[i])
			w.t.Logf("%s is killed", all[i].Name)
		}
		w.restart(some)
	}
}

// rests waits until the run has come to where ok says; one that failed has to be
// over or to say what is left to do.
func (w *world) rests(ok func(failoverrun.Run) bool) (st failoverrun.Run) {
	w.t.Helper()
	w.eventually("the failover rests", 60*time.Second, func() error {
		st = failoverrun.Run{}
		err := w.JSON(w.t.Context(), &st, "failover", "status", w.job)
		if err == nil && !ok(st) {
			err = fmt.Errorf("phase %s, goal %s: %s", st.Phase, st.Goal, st.Error)
		}
		return err
	})
	return st
}

// served: an export is there, or soon will be, and holds this.
func (w *world) served(id, what string, want [][]byte) {
	w.t.Helper()
	w.eventually(what+" is served", 30*time.Second, func() error {
		r, err := ask[api.ExportsReply](w.lane, api.JournalExports, w.group())
		if err != nil {
			return err
		}
		for _, x := range r.Exports {
			if x.ID == id {
				w.same(what, w.readExport(x), want)
				return nil
			}
		}
		return fmt.Errorf("no export %s", id)
	})
}
