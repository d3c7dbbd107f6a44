package labtest

import (
	"context"
	"encoding/json"
	"flag"
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
	"tidemark.dev/pkg/core/plan"
)

var story = flag.Bool("story", false, "TestThreeGuestsGoAndComeBack, which boots nine guests; make lab-story")

// The application and the front of the story, without a database.
const app, front = "app01", "web01"

// tale is the world of three guests that depend on each other, by plan.
type tale struct {
	*world
	vms      []string                  // in the order of the plan
	consoles map[string]*guest.Console // of those that run
}

// Three guests, a database, its application and their front, are tested by a plan that a
// schedule starts, while replication goes on; then site A is killed with everything on it
// and the plan recovers them in order; then it returns, and a plan of its own brings them
// home, with only what changed sent. Nothing that the guests had acknowledged is missing.
func TestThreeGuestsGoAndComeBack(t *testing.T) {
	if !*story {
		t.Skip("NOT TESTED here: needs -story; make lab-story runs it, and the other tests of this package its parts")
	}
	w := &tale{world: newWorld(t, app, front), vms: []string{stage.VM, app, front}}
	w.consoles = map[string]*guest.Console{stage.VM: w.console, app: w.read(stage.Prod, app), front: w.read(stage.Prod, front)}
	w.protect(stage.Protection{Capture: "tap", RPO: 10 * time.Second}, 2, 40)
	for _, vm := range w.vms {
		w.isProtected(vm)
	}
	w.drill()
	w.disaster()
	w.comeHome()
}

func (w *tale) read(site, vm string) *guest.Console {
	c := guest.ReadConsole(w.ctx, w.Serial(site, vm))
	w.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *tale) isProtected(vm string) {
	w.Helper()
	soon, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
	defer cancel()
	eventually(soon, w.T, vm+" is protected", func() error {
		st, err := w.StandingOf(soon, w.GroupOf(vm))
		if err == nil && (st.State != "protected" || st.Journal == nil || st.Journal.Points < 2) {
			err = fmt.Errorf("it is %s: %v", st.State, st.Problems)
			time.Sleep(time.Second)
		}
		return err
	})
}

// apply writes a plan of a site, and applies it there.
func (w *tale) apply(site, name, actions string) {
	w.Helper()
	file := filepath.Join(w.State(), name+".yaml")
	w.must(os.WriteFile(file, []byte("apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: "+name+"}\nspec:\n  site: "+site+"\n"+actions), 0o600))
	_, err := w.Tidemark(w.ctx, "plan", "apply", "-f", file, "--site", site)
	w.must(err)
}

// run is the last run of a plan.
func (w *tale) run(site, name string) (r plan.Run, err error) {
	out, err := w.Tidemark(w.ctx, "plan", "status", name, "--site", site, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	return r, err
}

// until waits for a run of a plan to be as it should be, and not over before.
func (w *tale) until(site, name, what string, within time.Duration, so func(plan.Run) bool) plan.Run {
	w.Helper()
	soon, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	var r plan.Run
	eventually(soon, w.T, what, func() error {
		var err error
		if r, err = w.run(site, name); err == nil && !so(r) {
			if r.Over() {
				w.Fatalf("the plan is %s: %s", r.Phase, r.Summary())
			}
			err = fmt.Errorf("it is %s: %s", r.Phase, r.Summary())
		}
		if err != nil {
			time.Sleep(500 * time.Millisecond) // the guests need the processor, too
		}
		return err
	})
	return r
}

// drill has the schedule of the plan start its test, judges its guests, and looks for what
// the clean-up left.
func (w *tale) drill() {
	w.Helper()
	at := time.Now().UTC().Add(80 * time.Second).Truncate(time.Minute)
	w.apply(stage.DR, "shop-dr", fmt.Sprintf(`  objective: 15m
  triggers:
  - {name: drill, schedule: {at: "%s"}}
  actions:
  - {name: gone, mode: production, check: {unreachable: prod}, timeout: 5m}
  - {name: db, failover: {job: %s}}
  - {name: app, after: [db, gone], failover: {job: %s}}
  - {name: front, after: [app], failover: {job: %s}}
  - {name: looked, mode: test, ask: {text: "Are the guests as they should be?", default: approve}, timeout: 10m}
`, at.Format("15:04"), w.GroupOf(stage.VM), w.GroupOf(app), w.GroupOf(front)))
	vms, files, serials := w.inventory(stage.DR), w.files(), w.serials()
	r := w.until(stage.DR, "shop-dr", "the schedule has begun a test, and it asks", 15*time.Minute, func(r plan.Run) bool { return r.Attempts("looked") > 0 })
	began := time.Now()
	if r.By != "trigger drill" || r.Mode != recovery.Test || r.StartedAt.Before(at) {
		w.Errorf("%s begun by %q in %s at %s", r.ID, r.By, r.Mode, r.StartedAt)
	}
	w.Logf("the test %s, due at %s, began at %s; its machines run after %s", r.ID, at.Format(time.TimeOnly), r.StartedAt.UTC().Format(time.TimeOnly), began.Sub(r.StartedAt).Round(time.Second))
	for _, file := range w.fresh(serials, 3) {
		w.judged(w.vmOf(file), file, "in the test", func(l guest.Ledger) (int64, error) { return l.Max, l.Verify(1) })
	}
	_, err := w.Tidemark(w.ctx, "plan", "approve", "shop-dr", "looked")
	w.must(err)
	r = w.until(stage.DR, "shop-dr", "it is cleaned up", 10*time.Minute, func(r plan.Run) bool { return r.Phase == plan.Succeeded })
	w.inOrder(r)
	for _, rec := range r.Actions {
		if rec.Verb == "failover" && (rec.Clean == nil || rec.Clean.Status != plan.Done) {
			w.Errorf("%s is not cleaned up: %+v", rec.Name, rec.Clean)
		}
	}
	if now := w.inventory(stage.DR); now != vms {
		w.Errorf("before the test dr had\n%s\nand after it\n%s", vms, now)
	}
	if now := w.files(); !slices.Equal(now, files) {
		w.Errorf("before the test dr's datastores had\n%v\nand after it\n%v", files, now)
	}
	for _, vm := range w.vms {
		w.neverPaused(vm, r)
	}
}

// inOrder checks that each of the three began when the one before it was there.
func (w *tale) inOrder(r plan.Run) {
	w.Helper()
	var before plan.Record
	for _, rec := range r.Actions {
		if rec.Verb != "failover" && rec.Verb != "failback" {
			continue
		}
		w.Logf("  %-6s %-9s began after %3.0fs, took %3.0fs: %s", rec.Name, rec.Status, rec.BegunAt.Sub(r.StartedAt).Seconds(), rec.EndedAt.Sub(rec.BegunAt).Seconds(), rec.Text)
		if rec.Status != plan.Done || rec.BegunAt.Before(before.EndedAt) {
			w.Errorf("%s did not wait for %s: %+v", rec.Name, before.Name, rec)
		}
		before = rec
	}
	w.Logf("  %s run %s %s after %s, and the objective is %s", r.Mode, r.ID, r.Phase, r.Took(time.Now()).Round(time.Second), r.Spec.Objective)
}

// neverPaused checks that points of a VM were made all through a run.
func (w *tale) neverPaused(vm string, r plan.Run) {
	w.Helper()
	ps, err := w.PointsOf(w.ctx, w.GroupOf(vm))
	w.must(err)
	var longest time.Duration
	last, n := r.StartedAt, 0
	for _, p := range ps {
		if p.Time.After(r.StartedAt) && p.Time.Before(r.EndedAt) {
			longest, last, n = max(longest, p.Time.Sub(last)), p.Time, n+1
		}
	}
	longest = max(longest, r.EndedAt.Sub(last))
	w.Logf("  %s: %d points while the test ran, %.0fs apart at most", vm, n, longest.Seconds())
	if n == 0 || longest > time.Minute {
		w.Errorf("%s: %d points in %s, %s apart", vm, n, r.EndedAt.Sub(r.StartedAt), longest)
	}
}

// inventory is the VMs of a site with their power, and nothing that changes by itself.
func (w *tale) inventory(site string) string {
	w.Helper()
	out, err := w.Tidemark(w.ctx, "inventory", site, "--fresh", "--site", site, "-o", "json")
	w.must(err)
	var sites []struct {
		VMs []struct{ Name, UUID, Power string }
	}
	w.must(json.Unmarshal([]byte(out), &sites))
	var all []string
	for _, s := range sites {
		for _, v := range s.VMs {
			all = append(all, v.Name+" "+v.UUID+" "+v.Power)
		}
	}
	if len(all) == 0 {
		w.Fatalf("no VMs in %s", out)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// files are those of dr's datastores.
func (w *tale) files() (all []string) {
	w.Helper()
	root := filepath.Join(w.Dir(stage.DR), "datastores")
	w.must(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, root))
		}
		return err
	}))
	return all
}

// fresh are the consoles of the n boots at dr since.
func (w *tale) fresh(before []string, n int) (out []string) {
	w.Helper()
	for _, f := range w.serials() {
		if !slices.Contains(before, f) {
			out = append(out, f)
		}
	}
	if len(out) != n {
		w.Fatalf("%d machines should have booted at dr, did: %v", n, out)
	}
	return out
}

// judged has a machine judge its own disks.
func (w *tale) judged(vm, file, when string, verify func(guest.Ledger) (int64, error)) *guest.Console {
	w.Helper()
	soon, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	c := guest.ReadConsole(w.ctx, file)
	w.Cleanup(func() { _ = c.Close() })
	l, err := c.Ledger(soon)
	w.must(err)
	rows, err := verify(l)
	w.Logf("  %s %s: %d rows; without a database: %t", vm, when, rows, l.Plain)
	if err != nil {
		w.Errorf("%s %s: %v", vm, when, err)
	}
	return c
}

// disaster kills site A with everything on it, and has the plan recover the three.
func (w *tale) disaster() {
	w.Helper()
	serials := w.serials()
	newest, acked := map[string]cdp.Point{}, map[string]int64{}
	w.LoseProd()
	for _, vm := range w.vms {
		ps, err := w.PointsOf(w.ctx, w.GroupOf(vm))
		w.must(err)
		newest[vm] = ps[len(ps)-1]
		acked[vm] = w.consoles[vm].LastAck()
	}
	_, err := w.Tidemark(w.ctx, "plan", "run", "shop-dr", "--follow")
	w.must(err)
	r, err := w.run(stage.DR, "shop-dr")
	w.must(err)
	w.inOrder(r)
	found := map[string]*guest.Console{}
	for _, file := range w.fresh(serials, 3) {
		vm := w.vmOf(file)
		least := w.consoles[vm].AckedBefore(newest[vm].Time.Add(-newest[vm].Bound))
		found[vm] = w.judged(vm, file, fmt.Sprintf("after the loss of prod (%d acknowledged there, %d before the newest point)", acked[vm], least), func(l guest.Ledger) (int64, error) {
			if l.Plain == (vm == stage.VM) {
				w.Errorf("%s: without a database: %t", vm, l.Plain)
			}
			return l.Max, l.Verify(least)
		})
	}
	soon, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	for _, vm := range w.vms {
		w.must(found[vm].WaitAcks(soon, 30))
		_, err := w.Tidemark(w.ctx, "failover", "commit", w.GroupOf(vm))
		w.must(err)
	}
	w.consoles = found
}

// vmOf is the VM whose replica has a console at dr.
func (w *tale) vmOf(file string) string {
	w.Helper()
	for _, vm := range w.vms {
		if strings.Contains(file, vm) {
			return vm
		}
	}
	w.Fatalf("%s is the console of none of %v", file, w.vms)
	return ""
}
