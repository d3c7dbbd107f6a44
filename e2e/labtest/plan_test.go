package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/plan"
)

// failOver brings the VM up at dr at a point, by command or by a plan. The test of a plan
// waits to be told that the machine was looked at.
func (w *world) failOver(pt cdp.Point, mode recovery.Mode) {
	w.Helper()
	if !w.byPlan {
		_, err := w.Tidemark(w.ctx, "failover", w.Group(), "--mode", string(mode), "--to", "vm", "--point", pt.ID())
		w.must(err)
		return
	}
	file := filepath.Join(w.State(), "plan.yaml")
	w.must(os.WriteFile(file, []byte(fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: lab}
spec:
  site: dr
  actions:
  - {name: gone, check: {unreachable: prod}, timeout: 5m}
  - {name: db, failover: {job: %s, to: vm, point: %s}}
  - {name: ledger, mode: test, ask: {text: "Is its ledger whole?"}, timeout: 10m}
`, w.Group(), pt.ID())), 0o600))
	_, err := w.Tidemark(w.ctx, "plan", "apply", "-f", file)
	w.must(err)
	if mode == recovery.Production {
		_, err = w.Tidemark(w.ctx, "plan", "run", "lab", "--follow")
		w.must(err)
		return
	}
	_, err = w.Tidemark(w.ctx, "plan", "test", "lab")
	w.must(err)
	w.planIs("asks for the ledger", func(r plan.Run) bool { return r.Attempts("ledger") > 0 })
}

// endTest has the test cleaned up, by command or as the end of the plan's test.
func (w *world) endTest() {
	w.Helper()
	if !w.byPlan {
		_, err := w.Tidemark(w.ctx, "failover", "cleanup", w.Group())
		w.must(err)
		return
	}
	_, err := w.Tidemark(w.ctx, "plan", "approve", "lab", "ledger")
	w.must(err)
	w.planIs("cleaned up", func(r plan.Run) bool { return r.Phase == plan.Succeeded })
}

// planIs waits until the plan's run is as it should be, and not over before.
func (w *world) planIs(what string, so func(plan.Run) bool) {
	w.Helper()
	soon, cancel := context.WithTimeout(w.ctx, 6*time.Minute)
	defer cancel()
	eventually(soon, w.T, what, func() error {
		out, err := w.Tidemark(soon, "plan", "status", "lab", "-o", "json")
		var r plan.Run
		if err == nil {
			err = json.Unmarshal([]byte(out), &r)
		}
		switch {
		case err == nil && so(r):
			return nil
		case err == nil && r.Over():
			w.Fatalf("the plan is %s: %s", r.Phase, r.Summary())
		case err == nil:
			err = fmt.Errorf("it is %s: %s", r.Phase, r.Summary())
		}
		time.Sleep(200 * time.Millisecond) // the guests need the processor, too
		return err
	})
}
