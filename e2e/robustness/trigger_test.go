package robustness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// hold is how long the source must be gone before the plan starts.
const hold = time.Second

// watched has a plan start by itself when two witnesses and dr have no answer from prod.
func (w *world) watched() {
	w.t.Helper()
	orchestrator := w.Service("orchestrator", "dr", "orchestrator")
	started := []*proc.Process{orchestrator}
	var keys []any
	for _, name := range []string{"one", "two"} {
		file := filepath.Join(w.dir, name+".key")
		keys = append(keys, strings.TrimSpace(w.must("witness", "--key", file, "--print-key")))
		x := w.Service("witness-"+name, "dr") // for its name and its log
		x.Args = []string{bin.Tidemark, "witness", "--nats", "nats://" + w.DRBus.Addr(), "--site", "dr", "--key", file, "--every", "500ms", "--watch", "prod=" + w.ProdURL()}
		started = append(started, x)
	}
	for _, x := range started {
		if err := x.Start(); err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { proc.Kill(x) })
	}
	file := filepath.Join(w.dir, "plan.yaml")
	text := fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop-dr}
spec:
  site: dr
  automaticProductionFailover: true
  triggers:
  - {name: prod-gone, start: automatic, for: %s, unreachable: {site: prod, witnesses: [{name: one, key: "%s"}, {name: two, key: "%s"}]}}
  actions:
  - {name: disk, failover: {job: %s}}
`, append([]any{hold}, append(keys, w.job)...)...)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the plan is there", time.Minute, func() error {
		_, err := w.Tidemark(w.t.Context(), "plan", "apply", "-f", file)
		return err
	})
}

// nothingStarts: while the witnesses see that prod lives, its link may be cut.
func (w *world) nothingStarts() {
	w.t.Helper()
	w.eventually("both witnesses see prod", time.Minute, func() error {
		out, err := w.Tidemark(w.t.Context(), "plan", "trigger", "list", "shop-dr", "-o", "json")
		if err == nil && !strings.Contains(out, "0 of 2 witnesses see that prod does not answer, and 2 must") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	if runs := w.planRuns(); len(runs) > 0 {
		w.t.Errorf("prod lives, and the plan was started: %+v", runs)
	}
}

// planRun is a run of a plan, as `tidemark plan history -o json` shows it.
type planRun struct {
	Run, By, Phase string
	StartedAt      time.Time
}

func (w *world) planRuns() (runs []planRun) {
	w.t.Helper()
	if err := w.JSON(w.t.Context(), &runs, "plan", "history", "shop-dr"); err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// startsOnce: prod is killed, and after the hold time the plan fails its job over, once.
func (w *world) startsOnce() {
	w.t.Helper()
	killed := time.Now()
	w.loseSource()
	w.eventually("the plan is done", 2*time.Minute, func() error {
		out, err := w.Tidemark(w.t.Context(), "plan", "status", "shop-dr")
		if err == nil && !strings.Contains(out, "succeeded") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	w.eventually("the trigger waits until prod is back", time.Minute, func() error {
		out, err := w.Tidemark(w.t.Context(), "plan", "trigger", "list", "shop-dr")
		if err == nil && !strings.Contains(out, "has begun") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	runs := w.planRuns()
	if len(runs) != 1 || runs[0].By != "trigger prod-gone" || runs[0].StartedAt.Sub(killed) < hold {
		w.t.Errorf("killed at %s: %+v", killed, runs)
	}
	w.t.Logf("the plan began %v after the kill, of which it held %v", runs[0].StartedAt.Sub(killed).Round(100*time.Millisecond), hold)
}
