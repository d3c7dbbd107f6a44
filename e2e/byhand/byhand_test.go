package byhand

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// then is what must be seen after a line before the next one makes sense.
var then = []struct{ after, look, has string }{
	{"scheduler.job-run.shop '{\"job\": \"shop\"}'", "tidemark status shop", "protected"},
	{`"group": "shop", "requested": true}' -H`, "tidemark point list shop", "before-upgrade"},
	{`"run": "try-1", "mode"`, "tidemark failover status shop -o json", `"phase": "ready"`},
	{`"run": "try-1"}'`, "tidemark failover status shop -o json", `"phase": "cleaned"`},
	{`"run": "real-1"`, "tidemark failover status shop -o json", `"phase": "ready"`},
	{"failover.undo.shop", "tidemark failover status shop -o json", `"phase": "undone"`},
	{`"run": "real-2"`, "tidemark failover status shop -o json", `"phase": "ready"`},
	{"failover.commit.shop", "tidemark failover status shop -o json", `"phase": "committed"`},
	{`"do": "raise"`, "tidemark plan status shop-dr", "plan approve shop-dr sure"},
	{`"do": "approve"`, "tidemark plan status shop-dr", "succeeded"},
	{`"run": "r-1"`, "tidemark plan status shop-dr", "plan approve shop-dr sure"},
	{`"do": "cancel"`, "tidemark events plan.finished.shop-dr", "cancelled"},
	{`scheduler.job-run.shop '{"job": 1}'`, "tidemark deadletter list", "scheduler"},
	{`scheduler.job-run.shop '{"job": 7}'`, "tidemark deadletter list", "scheduler"},
	{"scheduler.job-delete.shop", "tidemark get job shop 2>&1", "there is none"},
}

// What the documents show for the NATS CLI works, line by line: as the operator, with the
// context that is written and nothing else. What a service should refuse it refuses, and
// all else is done.
func TestTheDocumentsLinesForTheNATSCLI(t *testing.T) {
	for _, document := range []string{"deploy/nats.md", "README.md"} {
		t.Run(document, func(t *testing.T) {
			t.Parallel() // it mostly waits
			s := start(t)
			s.until("tidemark bus check && echo all is well", "all is well")
			if document == "README.md" {
				s.apply("../../deploy/examples/job-disks.yaml")
			}
			for _, l := range lines(t, document) {
				s.run(l)
				if t.Failed() {
					return
				}
			}
			s.heard()
		})
	}
}

// run runs a line of a document and waits for what comes of it.
func (s *sites) run(l line) {
	s.t.Helper()
	if strings.HasPrefix(l.script, "nats sub") && !strings.Contains(l.script, "--count") {
		s.listen(l)
		return
	}
	to := l.subject()
	command := len(to) > 6 && to[1] == "cmd"
	var before []api.AuditRecord
	if command {
		before = s.records(cdp.Site(to[3]), to[4], to[5])
	}
	out := s.must(l.script)
	if strings.Contains(strings.ToLower(out), "violation") || strings.Contains(out, "no responders") {
		s.t.Fatalf("%s\n%s", l.script, out)
	}
	refused := strings.Contains(l.note, "refused") || strings.Contains(l.script, "nope") || strings.Contains(l.script, `{"job": 1}`) || strings.Contains(l.script, `{"job": 7}`)
	switch {
	case command:
		s.settled(l, before, refused)
	case len(to) > 5 && to[4] == "vcenter": // there is no vCenter here
		if strings.Contains(out, `"kind":"invalid"`) {
			s.t.Errorf("%s\n%s", l.script, out)
		}
	case len(to) > 5 && strings.Contains(out, "Nats-Service-Error") != refused:
		s.t.Errorf("%s\n%s", l.script, out)
	}
	for _, x := range then {
		if strings.Contains(l.script, x.after) && !s.t.Failed() {
			s.until(x.look, x.has)
		}
	}
}

// settled waits until the service has settled a command, as it should.
func (s *sites) settled(l line, before []api.AuditRecord, refused bool) {
	s.t.Helper()
	to := l.subject()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		now := s.records(cdp.Site(to[3]), to[4], to[5])
		if len(now) > len(before) {
			if r := now[len(now)-1]; (r.Outcome == api.AuditRefused) != refused {
				s.t.Errorf("%s\nwas %s: %s", l.script, r.Outcome, r.Reason)
			}
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("never settled: %s", l.script)
		}
	}
}

// listen starts a line that goes on until it is stopped.
func (s *sites) listen(l line) {
	s.t.Helper()
	p := &proc.Process{Name: l.script, Log: filepath.Join(s.dir, "heard.log")}
	c := s.shell(s.t.Context(), "exec "+l.script)
	p.Args, p.Env = c.Args, c.Env
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { proc.Kill(p) })
	s.listens = append(s.listens, p)
}

// heard waits until whatever listens has heard an event.
func (s *sites) heard() {
	s.t.Helper()
	for _, p := range s.listens {
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			text := p.Tail(1 << 20)
			if strings.Contains(strings.ToLower(text), "violation") || time.Now().After(end) {
				s.t.Fatalf("%s heard\n%s", p.Name, text)
			}
			if strings.Contains(text, "ce-type: tidemark.evt.v1.") {
				break
			}
		}
	}
	if len(s.listens) != 1 {
		s.t.Errorf("%d lines listen", len(s.listens))
	}
}
