package orchestrator_test

import (
	"encoding/json"
	"os"
	"testing"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// A run that an older binary has begun goes on with this one. The records in testdata are
// what that binary stored when it was killed: one in production, between two failovers,
// and a test in the middle of its clean-up. They are never regenerated: what was stored
// once must be read for good.
func TestARunThatAnOlderBinaryBeganGoesOn(t *testing.T) {
	for file, mode := range map[string]recovery.Mode{"run-production.json": recovery.Production, "run-test-cleaning.json": recovery.Test} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld()
		w.run = &plan.Run{}
		if err := json.Unmarshal(data, w.run); err != nil {
			t.Fatal(file, err)
		}
		w.rev = 1
		w.running["web"] = false // the run has stopped it
		for _, job := range []string{"db", "web"} {
			if a := w.run.Attempts(job); a > 0 {
				w.failovers[job] = &failoverrun.Run{Request: failoverrun.Request{Job: job, ID: w.run.Ref(job, 1), Mode: mode, To: recovery.ToNBD}, Phase: recovery.Ready, Goal: recovery.Recover}
			}
		}
		play(t, w, w.service(), nil)
		want := map[string]int{"production failover web": 1, "script move-dns": 1}
		if mode == recovery.Test {
			want = map[string]int{"cleanup db": 1, "run web": 1}
		}
		for name, n := range want {
			if w.effects[name] != n {
				t.Errorf("%s: %s took effect %d times: %v", file, name, w.effects[name], w.effects)
			}
		}
		if n := w.effects["production failover db"] + w.effects["stop web"] + w.effects["cleanup web"]; n > 0 || w.last().Phase != plan.Succeeded {
			t.Errorf("%s: %s, with %v", file, w.last().Phase, w.effects)
		}
	}
}
