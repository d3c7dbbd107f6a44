package orchestrator_test

import (
	"testing"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// What an action says of its point, and of how it fails over, is what the failover is asked
// for. A planned one takes no point, and a test is never planned, for it leaves the source
// alone. A job with a replica VM starts that, unless the action says otherwise.
func TestWhatAnActionSaysIsWhatTheFailoverIsAskedFor(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for action, want := range map[string]map[recovery.Mode]failoverrun.Request{
		"{job: db}": {
			recovery.Production: {To: recovery.ToNBD}, recovery.Test: {To: recovery.ToNBD}},
		"{job: vm, point: proven}": {
			recovery.Production: {To: recovery.ToVM, Point: "proven"}, recovery.Test: {To: recovery.ToVM, Point: "proven"}},
		"{job: vm, point: latest, to: nbd}": {
			recovery.Production: {To: recovery.ToNBD, Point: "latest"}, recovery.Test: {To: recovery.ToNBD, Point: "latest"}},
		"{job: db, point: before-update}": {
			recovery.Production: {To: recovery.ToNBD, Point: "before-update"}, recovery.Test: {To: recovery.ToNBD, Point: "before-update"}},
		`{job: db, before: "2026-11-30T12:00:00Z", listen: "127.0.0.1:7"}`: {
			recovery.Production: {To: recovery.ToNBD, At: &at, Listen: "127.0.0.1:7"}, recovery.Test: {To: recovery.ToNBD, At: &at, Listen: "127.0.0.1:7"}},
		"{job: vm, planned: true, shutdown: forced}": {
			recovery.Production: {To: recovery.ToVM, Planned: true, Shutdown: recovery.ShutForced}, recovery.Test: {To: recovery.ToVM}},
	} {
		for mode, req := range want {
			w := newWorld()
			w.listed = []spec.ReplicationJob{{Name: "db"}, {Name: "vm", Target: spec.Target{VM: "web01"}}}
			s := w.service()
			begin(t, w, s, "- {name: a, failover: "+action+"}", mode)
			job := w.plans["shop"].Actions[0].Failover.Job
			play(t, w, s, nil)
			if w.last().Phase != plan.Succeeded || w.failovers[job] == nil {
				t.Fatalf("%s in %s: %+v", action, mode, w.last())
			}
			got := w.failovers[job].Request
			if got.Mode != mode || got.Job != job || got.To != req.To || got.Point != req.Point || got.Planned != req.Planned || got.Shutdown != req.Shutdown || got.Listen != req.Listen ||
				(got.At == nil) != (req.At == nil) || got.At != nil && !got.At.Equal(*req.At) {
				t.Errorf("%s in %s: asked for %+v", action, mode, got)
			}
		}
	}
}

// A plan stops and runs jobs, fails over, commits one failover
// and takes another back, each once, wherever the service is killed.
func TestAPlanRunsStopsFailsOverAndEndsThat(t *testing.T) {
	for n := 0; ; n++ {
		w := newWorld()
		w.running["batch"] = false
		s := w.service()
		begin(t, w, s, `- {name: stop, stopJob: {job: web}}
- {name: db, failover: {job: db}}
- {name: app, failover: {job: app}}
- {name: keep, commit: {job: db, force: true}}
- {name: back, undo: {job: app}}
- {name: go, runJob: {job: batch}}`, recovery.Production)
		killed := w.killAt(t, s, n)
		for _, what := range []string{"stop web", "production failover db", "production failover app", "commit db", "undo app", "run batch"} {
			if w.effects[what] != 1 {
				t.Errorf("killed %s: %s took effect %d times", killed, what, w.effects[what])
			}
		}
		if w.last().Phase != plan.Succeeded || w.failovers["db"].Phase != recovery.Committed || w.failovers["app"].Phase != recovery.Undone || !w.running["batch"] || w.running["web"] || !w.endings[0].Force {
			t.Fatalf("killed %s: %+v", killed, w.last())
		}
		if killed == "" {
			if n < 20 {
				t.Errorf("only %d calls", n)
			}
			return
		}
	}
}
