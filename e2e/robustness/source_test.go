package robustness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/e2e/robustness/traffic"
	"tidemark.dev/e2e/robustness/validate"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// The source site is gone, all of it: every command of a recovery works at the
// target alone, and soon.
func TestSourceGone(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"rollback", "roll-forward"} {
		t.Run(mode, func(t *testing.T) { sourceGone(t, mode) })
	}
}

func sourceGone(t *testing.T, mode string) {
	w := newWorld(t, mode)
	w.guests.Start()
	w.protected()
	time.Sleep(2 * time.Second)
	w.must("point", "create", w.job, "--tag", "kept", "--pin")
	time.Sleep(2*time.Second + w.some(500))
	w.loseSource()

	w.validate(0)
	points := w.points()
	kept, newest := points[0], points[len(points)-1]
	for _, p := range points {
		if p.Pinned {
			kept = p
		}
	}
	atKept, atNewest := w.read(kept), w.read(newest)
	if h, err := w.health(); err != nil || h.State == "protected" && time.Since(newest.Time) > 5*time.Second {
		t.Errorf("status: %v, %v", h, err)
	}
	if list := w.soon("point", "list", w.job); !strings.Contains(list, newest.ID()) {
		t.Errorf("point list does not have %s:\n%s", newest.ID(), list)
	}
	w.exportByHand(kept, atKept)
	w.testFailover(kept, atKept)
	w.plannedIsRefused()
	w.failoverUndone(kept, atKept)
	w.same("the newest point after the undo", w.read(newest), atNewest)

	w.sourceReturns()
	w.loseSource()
	w.failoverForGood()
}

func (w *world) exportByHand(p cdp.Point, want [][]byte) {
	w.t.Helper()
	w.soon("export", w.job, "--point", p.ID(), "--detach")
	x := w.exports()
	if len(x) != 1 {
		w.t.Fatalf("%d exports are open", len(x))
	}
	w.same("the export", w.readExport(x[0]), want)
	w.soon("export", "close", w.job, x[0].ID)
}

// testFailover runs one, writes to it, and cleans it up.
func (w *world) testFailover(p cdp.Point, want [][]byte) {
	w.t.Helper()
	w.soon("failover", w.job, "--mode", "test", "--point", p.ID())
	w.same("the test failover", w.readExport(*w.run().Export), want)
	w.scribble(*w.run().Export)
	w.soon("failover", "cleanup", w.job)
	w.nothingLeft()
	w.validate(0)
}

// plannedIsRefused: a failover that needs the source is refused without it, and
// changes nothing.
func (w *world) plannedIsRefused() {
	w.t.Helper()
	before, err := w.status()
	if err != nil {
		w.t.Fatal(err)
	}
	if out, err := w.Tidemark(w.t.Context(), "failover", w.job, "--mode", "production", "--planned", "--timeout", "60s"); err == nil {
		w.t.Errorf("a planned failover without the source has succeeded: %s", out)
	} else {
		w.t.Logf("a planned failover is refused: %v", err)
	}
	if s, err := w.status(); err != nil || s.State == "halted" || s.Bounds.Head != before.Bounds.Head {
		w.t.Fatalf("a refused failover has changed the journal: %+v, %v", s, err)
	}
}

// failoverUndone runs a production failover to an older point, and undoes it.
func (w *world) failoverUndone(p cdp.Point, want [][]byte) {
	w.t.Helper()
	w.soon("failover", w.job, "--mode", "production", "--point", p.ID(), "--wait-ready")
	w.same("the production failover", w.readExport(*w.run().Export), want)
	w.same("the replica", w.replicas(), want)
	w.scribble(*w.run().Export)
	w.soon("failover", "undo", w.job, "--yes")
	w.nothingLeft()
	w.validate(0)
}

// sourceReturns brings the source back, loses nothing, and writes on for a while.
func (w *world) sourceReturns() {
	w.t.Helper()
	for _, x := range []*proc.Process{w.ProdNATS, w.Capture} {
		if err := x.Start(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.guests.Start()
	time.Sleep(2 * time.Second)
	w.settle()
	w.guests.Start()
	time.Sleep(time.Second)
}

// failoverForGood fails over to the last write, which has all that the newest point
// has and is as whole, and commits it.
func (w *world) failoverForGood() {
	w.t.Helper()
	points := w.points()
	newest := points[len(points)-1]
	h, at := validate.New(w.record.Run, w.record.Writes(), w.sizes()), w.record.At(newest.Time)
	point := validate.Point{Name: newest.ID(), Disks: w.read(newest), Must: at - int64(newest.Bound) - slack, Until: at + int64(newest.Bound) + slack}
	w.soon("failover", w.job, "--mode", "production")
	run := w.run()
	last := validate.Point{Name: "the last write", Disks: w.readExport(*run.Export), Must: point.Must, Until: w.record.Now()}
	for _, bad := range append(h.Check(point), h.Check(last)...) {
		w.t.Error(bad)
	}
	w.t.Logf("the failover went to write %d; the newest point is at %d", run.Resolved.Seq, newest.Seq)
	want := w.scribble(*w.run().Export)
	w.soon("failover", "commit", w.job)
	w.same("the replica after the commit", w.replicas(), want)
	w.eventually("the journal says that it is sealed", 5*time.Second, func() error {
		s, err := w.status()
		if err == nil && s.State != "sealed" {
			err = errors.New(string(s.State))
		}
		return err
	})
	w.soon("status", w.job)
}

// loseSource kills everything of the source site at once, and its link.
func (w *world) loseSource() {
	w.Link.Cut()
	proc.Kill(w.Capture, w.ProdNATS)
	w.guests.Abandon()
	w.Link.Heal()
	time.Sleep(time.Second) // what was on the wire is in, or lost
}

// soon runs a command that has to succeed without being asked twice.
func (w *world) soon(args ...string) string {
	w.t.Helper()
	began := time.Now()
	out, err := w.Tidemark(w.t.Context(), args...)
	if took := time.Since(began); took > 15*time.Second {
		w.t.Errorf("tidemark %s took %v", strings.Join(args, " "), took)
	}
	var code *exec.ExitError
	if errors.As(err, &code) {
		w.t.Fatalf("exit code %d: %v\n%s", code.ExitCode(), err, out)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// run is the job's failover run.
func (w *world) run() (s failoverrun.Run) {
	w.t.Helper()
	if err := w.JSON(w.t.Context(), &s, "failover", "status", w.job); err != nil {
		w.t.Fatal(err)
	}
	if s.Export == nil {
		w.t.Fatalf("the run %s has no export: %s, %s", s.ID, s.Phase, s.Error)
	}
	return s
}

func (w *world) exports() (open []api.Export) {
	w.t.Helper()
	w.eventually("the list of exports", 30*time.Second, func() error {
		r, err := ask[api.ExportsReply](w.lane, api.JournalExports, w.group())
		open = r.Exports
		return err
	})
	return open
}

func (w *world) nothingLeft() {
	w.t.Helper()
	if x := w.exports(); len(x) > 0 {
		w.t.Errorf("the run is over, and %d exports are open", len(x))
	}
}

func (w *world) same(what string, got, want [][]byte) {
	w.t.Helper()
	for _, bad := range validate.Same(what, got, want) {
		w.t.Error(bad)
	}
}

// scribble writes into an export, as the VM that was failed over does, and
// gives what its disks are then.
func (w *world) scribble(x api.Export) [][]byte {
	w.t.Helper()
	for i, d := range x.Disks {
		c := w.dial(d.URI)
		for range 20 {
			off := w.rng.Int64N(d.Size/traffic.Sector-40) * traffic.Sector
			p := bytes.Repeat([]byte{byte(1 + i)}, (1+w.rng.IntN(40))*traffic.Sector)
			if _, err := c.WriteAt(p, off); err != nil {
				w.t.Fatalf("write to %s of %s: %v", d.Name, x.ID, err)
			}
		}
		if err := c.Flush(); err != nil {
			w.t.Fatal(err)
		}
		c.Close()
	}
	return w.readExport(x)
}

// replicas reads the images at the target.
func (w *world) replicas() (out [][]byte) {
	w.t.Helper()
	for i, d := range w.disks {
		b, err := os.ReadFile(w.replica(i))
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, b[:min(int64(len(b)), d.Size)])
	}
	return out
}
