package labtest

import (
	"testing"

	"tidemark.dev/e2e/lab/stage"
)

// The I/O filter tells every write. Then vCenter, hosts, guests, NATS and capture
// of the site are gone at once, and the VM is brought back at three points.
func TestTapSurvivesTheSite(t *testing.T) {
	w := newWorld(t)
	w.protect(stage.Protection{Capture: "tap"}, 8, 150)
	w.loseSite()
}

// The same on a stock vSphere, by snapshots and changed areas.
func TestCBTSurvivesTheSite(t *testing.T) {
	w := newWorld(t)
	w.protect(stage.Protection{Capture: "cbt"}, 4, 150)
	w.loseSite()
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
