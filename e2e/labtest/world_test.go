package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/lab/stage"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// world is two sites with a VM that runs and writes its ledger.
type world struct {
	*testing.T
	*stage.Stage
	ctx     context.Context
	console *guest.Console // of the VM at prod
	byPlan  bool           // a site recovery job fails over, and not a person
}

// newWorld returns when the guest's database is up and Tidemark answers. Beside it there
// are VMs without a database.
func newWorld(t *testing.T, plain ...string) *world {
	t.Helper()
	guest.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute+time.Duration(len(plain))*10*time.Minute)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "tml") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := stage.New(stage.Config{Dir: dir, Tidemark: tidemark, Lab: lab, Job: "shop" + filepath.Base(dir)[3:], Plain: plain})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Stage: s, ctx: ctx}
	t.Cleanup(w.end)
	began := time.Now()
	soon, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	w.must(s.Start(soon))
	w.console = guest.ReadConsole(ctx, s.Serial(stage.Prod, stage.VM))
	t.Cleanup(func() {
		if err := w.console.Close(); err != nil {
			t.Error(err)
		}
	})
	w.must(w.console.WaitAcks(soon, 1))
	w.Logf("two sites, and the guest of one writes, after %.1fs", time.Since(began).Seconds())
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) end() {
	if err := w.Stop(); err != nil {
		w.Error(err)
	}
	for _, p := range w.All() {
		log := p.Tail(64 << 20)
		for _, word := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if at := strings.Index(log, word); at >= 0 {
				w.Errorf("%s: %s", p.Name, log[at:min(len(log), at+3000)])
			}
		}
		if w.Failed() {
			w.Logf("--- the end of the log of %s\n%s", p.Name, p.Tail(2500))
		}
	}
	if w.Failed() {
		taps, _ := filepath.Glob(filepath.Join(w.Dir(stage.Prod), "vms", stage.VM, "tap-*.log"))
		for _, file := range taps {
			text, _ := os.ReadFile(file)
			w.Logf("--- the end of %s\n%s", file, text[max(0, len(text)-1500):])
		}
	}
}

// protect starts the job, and returns when the VM has n points and has written
// rows enough between the first and the last of them.
func (w *world) protect(p stage.Protection, n, rows int) {
	w.Helper()
	began := time.Now()
	w.must(w.Protect(w.ctx, p))
	soon, cancel := context.WithTimeout(w.ctx, 8*time.Minute)
	defer cancel()
	_, err := w.Until(soon, "there is a point", func(st stage.Standing) bool { return st.Journal != nil && st.Journal.Points > 0 })
	w.must(err)
	w.Logf("the first point after %.1fs; %d rows", time.Since(began).Seconds(), w.console.LastAck())
	w.must(w.console.WaitAcks(soon, len(w.console.Acks())+rows))
	st, err := w.Until(soon, "there are points enough", func(st stage.Standing) bool { return st.Journal != nil && st.Journal.Points >= n })
	w.must(err)
	w.Logf("%d points after %.1fs; %d rows", st.Journal.Points, time.Since(began).Seconds(), w.console.LastAck())
}

// choose takes the oldest point, the newest, and one between them, in the order
// in which they are tried: the newest last, in production.
func (w *world) choose() []cdp.Point {
	w.Helper()
	ps, err := w.Points(w.ctx)
	w.must(err)
	if len(ps) < 3 {
		w.Fatalf("only %d points: %+v", len(ps), ps)
	}
	chosen := []cdp.Point{ps[0], ps[len(ps)/2], ps[len(ps)-1]}
	if !slices.IsSortedFunc(chosen, func(a, b cdp.Point) int { return int(int64(a.Seq) - int64(b.Seq)) }) {
		w.Fatalf("points are out of order: %+v", ps)
	}
	return chosen
}

// bounds are the rows that the ledger of a point must have, and that it cannot
// have: those acknowledged before it, and those not yet begun well after it.
func (w *world) bounds(pt cdp.Point) (acked, newest int64) {
	const slow = 3 * time.Second // from a commit to its acknowledgement on a busy machine
	return w.console.AckedBefore(pt.Time.Add(-pt.Bound)), w.console.AckedBefore(pt.Time.Add(pt.Bound+slow)) + guest.WitnessBatch
}

// failover brings the VM up at dr at a point, and has the machine itself judge
// its disks.
func (w *world) failover(pt cdp.Point, test bool) {
	w.Helper()
	began := time.Now()
	mode := recovery.Production
	if test {
		mode = recovery.Test
	}
	before := w.serials()
	w.failOver(pt, mode)
	up := time.Since(began)
	st, err := w.Failover(w.ctx)
	w.must(err)
	if st.Phase != recovery.Ready && st.Phase != recovery.Usable {
		w.Fatalf("a failover that was told to be done is %s: %+v", st.Phase, st)
	}
	console := w.booted(before)
	defer console.Close()
	soon, cancel := context.WithTimeout(w.ctx, 3*time.Minute)
	defer cancel()
	l, err := console.Ledger(soon)
	w.must(err)
	acked, newest := w.bounds(pt)
	w.Logf("%s of %s: the failover took %.1fs; the machine found %d rows, %d to %d were possible", pt.ID(), pt.Time.Format(time.TimeOnly), up.Seconds(), l.Max, acked, newest)
	for _, step := range st.Steps {
		w.Logf("  %-8s %s %s", step.Step, step.Status, step.Text)
	}
	w.timing(st.ID)
	// The other points are tried all the same: which are right is the best clue.
	if err := l.Verify(acked); err != nil {
		w.Errorf("%s: %v", pt.ID(), err)
	}
	if l.Max > newest {
		w.Errorf("%s has row %d, which did not exist at its time: %d did", pt.ID(), l.Max, newest)
	}
	w.must(console.WaitAcks(soon, 5))
}

// booted is the console of the one machine that has booted at dr since.
func (w *world) booted(before []string) *guest.Console {
	w.Helper()
	var fresh []string
	for _, f := range w.serials() {
		if !slices.Contains(before, f) {
			fresh = append(fresh, f)
		}
	}
	if len(fresh) != 1 {
		w.Fatalf("one machine should have booted at dr, did: %v", fresh)
	}
	return guest.ReadConsole(w.ctx, fresh[0])
}

// timing logs when the steps of a run ended, after its first began.
func (w *world) timing(run string) {
	out, err := w.Tidemark(w.ctx, "events", "failover.step", "-o", "json")
	w.must(err)
	var began time.Time
	var said []string
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var e struct {
			Time time.Time
			Data struct{ Run, Step, State string }
		}
		w.must(dec.Decode(&e))
		if e.Data.Run != run {
			continue
		}
		if began.IsZero() {
			began = e.Time
		}
		if e.Data.State == "done" {
			said = append(said, fmt.Sprintf("%s %.1fs", e.Data.Step, e.Time.Sub(began).Seconds()))
		}
	}
	w.Logf("  steps were done after %s", strings.Join(said, ", "))
}

// serials are the consoles of all boots at dr.
func (w *world) serials() []string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.Dir(stage.DR), "vms", "*", "boot*", "serial.log"))
	w.must(err)
	return files
}

// cleanup ends a test failover, and looks for what it left.
func (w *world) cleanup() {
	w.Helper()
	w.endTest()
	st, err := w.Failover(w.ctx)
	w.must(err)
	if st.Phase != recovery.Cleaned {
		w.Fatalf("a cleaned up test failover is %s: %+v", st.Phase, st)
	}
}
