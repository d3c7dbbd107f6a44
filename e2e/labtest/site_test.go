package labtest

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/e2e/lab/stage"
)

// The I/O filter tells every write. Then vCenter, hosts, guests, NATS and capture
// of the site are gone at once, and the VM is brought back at three points.
func TestTapSurvivesTheSite(t *testing.T) {
	w := newWorld(t)
	w.fit()
	w.protect(stage.Protection{Capture: "tap"}, 4, 100)
	w.loseSite()
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
