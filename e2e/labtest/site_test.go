package labtest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/lab/stage"
	"tidemark.dev/pkg/tracetest"
)

// The I/O filter tells every write. Then vCenter, hosts, guests, NATS and capture
// of the site are gone at once, and the VM is brought back at three points.
func TestTapSurvivesTheSite(t *testing.T) {
	traces := tracetest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.URL)
	w := newWorld(t)
	w.fit()
	w.protect(stage.Protection{Capture: "tap"}, 4, 100)
	w.loseSite()
	w.oneTrace(traces)
}

// oneTrace fails unless the failover is one trace, from the command of the operator down
// to the calls that changed something at the vCenter, and each of these is a part of a step
// of the failover.
func (w *world) oneTrace(traces *tracetest.Collector) {
	w.Helper()
	all := traces.Await(w, "", "tidemark failover", "failover halt", "failover boot", "process tidemark.api.v1.{site}.vcenter.", "vcenter ReconfigVM_Task", "vcenter PowerOn")
	calls := map[string]int{}
	for _, s := range all {
		if strings.HasSuffix(s.Name, "vcenter.fence") {
			w.Errorf("the source, which is gone, is asked by %q", tracetest.Way(all, s))
		}
		if !strings.HasPrefix(s.Name, "vcenter ") {
			continue
		}
		calls[s.Name]++
		way := tracetest.Way(all, s)
		step := slices.IndexFunc(way, func(n string) bool { return strings.HasPrefix(n, "failover ") })
		if s.Service != "tidemark-vcenter" || step < 0 || way[len(way)-1] != "tidemark failover" {
			w.Errorf("%s of %s came about by %q", s.Name, s.Service, way)
		}
	}
	w.Logf("%d spans, with these calls to the vCenter: %v", len(all), calls)
	if len(all) > 300 {
		w.Errorf("the trace of a failover has %d spans", len(all))
	}
}

// The same on a stock vSphere, by snapshots and changed areas; a site recovery job brings
// the VM back, in its tests and in production.
func TestCBTSurvivesTheSite(t *testing.T) {
	w := newWorld(t)
	w.byPlan = true
	w.protect(stage.Protection{Capture: "cbt", RPO: 10 * time.Second}, 3, 100)
	w.loseSite()
}

// fit checks that the sites have all that Tidemark needs.
func (w *world) fit() {
	w.Helper()
	w.must(w.ApplySites(w.ctx))
	soon, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	for _, site := range []string{stage.Prod, stage.DR} {
		var out string
		// A site's services take a moment to hear of their vCenter.
		eventually(soon, w.T, site+" is fit", func() (err error) { out, err = w.Tidemark(soon, "site", "check", site); return err })
		w.Logf("site check %s:\n%s", site, out)
	}
}

// loseSite kills the source, and fails over: two points in tests, the newest in
// production.
func (w *world) loseSite() {
	w.Helper()
	w.LoseProd()
	points := w.choose()
	for _, pt := range points[:2] {
		w.failover(pt, true)
		w.cleanup()
	}
	w.failover(points[2], false)
}
