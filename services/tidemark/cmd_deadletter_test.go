package main

import (
	"strings"
	"testing"
)

// buried has a service refuse a message, which is then listed, shown, sent again and
// dropped by somebody with the operator's permissions.
func buried(t *testing.T, l *lab) {
	t.Helper()
	l.publish("orchestrator", "run", `{"plan": "nosuch", "extra": 1}`)
	l.until("extra", "deadletter", "list")
	all := decode[[]letter](t, first(l.do(0, "deadletter", "list", "-o", "json")))
	last := all[len(all)-1]
	if last.Service != "orchestrator" || last.Subject != "tidemark.cmd.v1.dr.orchestrator.run.nosuch" || last.At.IsZero() {
		t.Errorf("%+v", last)
	}
	number := strings.Fields(first(l.do(0, "deadletter", "list", "-o", "name")))
	n := number[len(number)-1]
	wants(t, first(l.do(0, "deadletter", "show", n)), "extra", "refused", "orchestrator.run.nosuch")
	wants(t, second(l.do(exitUsage, "deadletter", "retry", n)), "extra")
	l.do(0, "deadletter", "drop", n)
	l.do(exitNotFound, "deadletter", "drop", n)
	l.do(exitNotFound, "deadletter", "show", n)
	l.do(exitUsage, "deadletter", "show", "last")
}

func second(_, errs string) string { return errs }

// A message can be checked before it is sent.
func TestSchemasAreAtHand(t *testing.T) {
	d := &desk{t: t}
	out, _ := d.do(0, "schema", "list", "-o", "name")
	for name := range strings.Lines(out) {
		d.do(0, "schema", "show", strings.TrimSpace(name))
	}
	wants(t, out, "cmd.v1.failover.start\n", "spec.v1.replicationjob\n", "evt.v1.plan.started\n")
	d.do(exitNotFound, "schema", "show", "cmd.v1.failover.nosuch")
	good, bad := write(t, t.TempDir()+"/good", `{"job": "web"}`), write(t, t.TempDir()+"/bad", `{"job": "WEB", "now": true}`)
	wants(t, first(d.do(0, "schema", "validate", "tidemark.cmd.v1.scheduler.job-run", good)), "valid")
	wants(t, second(d.do(exitUsage, "schema", "validate", "cmd.v1.scheduler.job-run", bad)), "job", "now")
	d.do(exitUsage, "schema", "validate", "cmd.v1.scheduler.job-run", t.TempDir())
}
