package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// What a file would change of the plan in testdata's first command.
func TestADifferenceIsSaidInWords(t *testing.T) {
	var was spec.Plan
	datadriven.RunTest(t, "testdata/diff", func(t *testing.T, d *datadriven.TestData) string {
		is := parse(t, d.Input)
		if d.Cmd == "stored" {
			was = is
			return ""
		}
		var out []string
		for _, c := range plan.Diff(was, is) {
			out = append(out, c.String())
		}
		if out == nil {
			return "nothing"
		}
		return strings.Join(out, "\n")
	})
}

// A forecast has the order and the times of earlier runs: the median of those in the
// same mode, else of the others. A background action keeps nobody waiting.
func TestAForecastTakesWhatEarlierRunsTook(t *testing.T) {
	p := parse(t, `- {name: fresh, mode: test, check: {port: "x:1"}}
- {name: db, failover: {job: db}}
- {name: slow, group: app, background: true, failover: {job: slow}}
- {name: web, group: app, failover: {job: web}}
- {name: rest, wait: 10s}
- {name: new, script: {file: x}}`)
	run := func(mode recovery.Mode, db, web time.Duration) plan.Run {
		r := plan.Begin(plan.Request{Plan: "shop", ID: "r", Mode: mode}, 1, p, t0)
		for i, took := range map[int]time.Duration{1: db, 2: 5 * time.Minute, 3: web} {
			r.Actions[i].Status, r.Actions[i].BegunAt, r.Actions[i].EndedAt = plan.Done, t0, t0.Add(took)
		}
		return r
	}
	before := []plan.Run{run(recovery.Production, 10*time.Second, 20*time.Second), run(recovery.Production, 30*time.Second, 20*time.Second),
		run(recovery.Production, 31*time.Second, 20*time.Second), run(recovery.Test, time.Second, 2*time.Second)}
	var out []string
	for _, f := range plan.Foresee(p, recovery.Production, before) {
		out = append(out, f.Begins.String()+" "+f.String()+" "+f.Takes.String())
	}
	want := `0s fresh: not done, for runs in test only 0s
0s db: failover db 30s
30s slow: failover slow, in the background 5m0s
30s web: failover web 20s
50s rest: wait 10s
1m0s new: script 0s`
	if got := strings.Join(out, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	test := plan.Foresee(p, recovery.Test, before)
	if last := test[len(test)-1]; !last.CleanUp || last.Action != "db" || test[1].Takes != time.Second || test[1].Runs != 1 {
		t.Errorf("%+v", test)
	}
	if again := plan.Foresee(p, recovery.Test, before[:3]); again[1].Takes != 30*time.Second || again[1].Runs != 3 {
		t.Errorf("%+v", again)
	}
}
