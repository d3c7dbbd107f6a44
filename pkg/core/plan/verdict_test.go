package plan_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/plan"
)

// What a test run shows of the point of a failover: the failover and the checks that
// waited for it speak, others do not.
func TestATestRunJudgesThePointsThatItUsed(t *testing.T) {
	const actions = `- {name: db, failover: {job: db}}
- {name: up, check: {port: "10.0.0.1:80"}}
- {name: maybe, critical: false, check: {port: "10.0.0.1:81"}}
- {name: web, failover: {job: web}}
- {name: after, check: {port: "10.0.0.1:82"}}`
	ended := func(status ...plan.Status) plan.Run {
		r := begin(t, recovery.Test, actions).Run
		for i, st := range status {
			r.Actions[i].Status, r.Actions[i].Text = st, "port is closed"
		}
		return r
	}
	for name, c := range map[string]struct {
		run      plan.Run
		failover string
		until    string
		want     cdp.Verdict
	}{
		"all done":                        {ended(plan.Done, plan.Done, plan.Done, plan.Done, plan.Done), "db", "", cdp.Passed},
		"only what is not critical":       {ended(plan.Done, plan.Done, plan.GaveUp, plan.Done, plan.Done), "db", "", cdp.Passed},
		"the failover itself":             {ended(plan.GaveUp, plan.Skipped, plan.Skipped, plan.Skipped, plan.Skipped), "db", "", cdp.Failed},
		"a check of it":                   {ended(plan.Done, plan.GaveUp, plan.Skipped, plan.Skipped, plan.Skipped), "db", "", cdp.Failed},
		"another failover, not all seen":  {ended(plan.Done, plan.Done, plan.Done, plan.GaveUp, plan.Skipped), "db", "", ""},
		"that other failover":             {ended(plan.Done, plan.Done, plan.Done, plan.GaveUp, plan.Skipped), "web", "", cdp.Failed},
		"cancelled":                       {ended(plan.Abandoned, plan.Skipped, plan.Skipped, plan.Skipped, plan.Skipped), "db", "", ""},
		"what comes later does not count": {ended(plan.Done, plan.Done, plan.Done, plan.Started, plan.Pending), "db", "web", cdp.Passed},
	} {
		v, note := c.run.Verdict(c.failover, c.until)
		if v != c.want || (v == "") != (note == "") || v != "" && cdp.CheckVerdict(v, note) != nil || v == cdp.Failed && !strings.Contains(note, "port is closed") {
			t.Errorf("%s: %q %q", name, v, note)
		}
	}
	production := ended(plan.Done, plan.Done, plan.Done, plan.Done, plan.Done)
	production.Mode = recovery.Production
	if v, _ := production.Verdict("db", ""); v != "" {
		t.Error("a production run is no test:", v)
	}
}
