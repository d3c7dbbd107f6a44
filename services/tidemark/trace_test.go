package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/tracetest"
)

// One recovery-point cycle is one trace, from the scheduler over capture and the frame
// to the point. A run of a plan that a message began is one, too, with the failover in
// it down to the journal's steps: that of the message. Spans can be searched by what
// they are about, and none is a poll.
func TestACycleAndAPlanAreOneTraceEach(t *testing.T) {
	t.Parallel() // it mostly waits
	s := tracetest.New(t)
	dir := short(t)
	l := newLab(t, dir, "", "otlp: "+s.URL+"\nmetrics: \":0\"\n")
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	poke(t, l.field("write to", "status", "web"), 0, 'A')
	l.do(0, "point", "create", "web", "--tag", "one")
	l.do(0, "plan", "apply", "-f", write(t, filepath.Join(dir, "plan.yaml"), "apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: p}\nspec: {site: dr, actions: [{name: one, failover: {job: web}}]}\n"))
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	l.publish("orchestrator", "run", `{"plan":"p","run":"by-hand","mode":"test"}`, "00-"+trace+"-00f067aa0ba902b7-01")
	l.until("by-hand", "plan", "status", "p")
	l.until("succeeded", "plan", "status", "p")

	cycle := s.Await(t, "", "recovery point", "send tidemark.write.v1", "process tidemark.write.v1", "send tidemark.evt.v1.{site}.journal.point-created")
	l.exemplars(s, "tidemark_frame_durable_seconds", "tidemark_journal_store_seconds")
	run := s.Await(t, trace, "process tidemark.cmd.v1.{site}.orchestrator.run", "plan act", "failover open", "journal.resolve", "journal.open",
		"send tidemark.evt.v1.{site}.failover.step", "plan clean-up", "failover close", "send tidemark.evt.v1.{site}.plan.finished")
	for what, want := range map[string]struct {
		spans    []tracetest.Span
		services []string
		key      string
	}{
		"cycle": {cycle, []string{"tidemark-scheduler", "tidemark-capture", "tidemark-journal"}, "tidemark.job"},
		"plan":  {run, []string{"tidemark-orchestrator", "tidemark-failover", "tidemark-journal"}, "tidemark.run"},
	} {
		var services, about []string
		for _, x := range want.spans {
			services, about = append(services, x.Service), append(about, x.About[want.key])
			if strings.HasPrefix(x.Name, "send ") && x.About["messaging.destination.name"] == "" {
				t.Errorf("%s: %s does not say where it goes: %v", what, x.Name, x.About)
			}
		}
		for _, service := range want.services {
			if !slices.Contains(services, service) {
				t.Errorf("%s: nothing of %s in %v", what, service, services)
			}
		}
		if !slices.Contains(about, "web") && !slices.Contains(about, "by-hand") {
			t.Errorf("%s cannot be found by %s: %v", what, want.key, about)
		}
	}
	explained(t, slices.Concat(cycle, run))
	if len(run) > 150 {
		t.Errorf("the trace of a run has %d spans: is every poll one?", len(run))
	}
}

// exemplars waits until the histograms have led to traces that the collector has. It gets
// spans later than the histograms get exemplars, which newer ones replace.
func (l *lab) exemplars(s *tracetest.Collector, histograms ...string) {
	l.t.Helper()
	for _, h := range histograms {
		exemplar := regexp.MustCompile(h + `_bucket.* # \{trace_id="(\w+)"\}`)
		seen := map[string]bool{}
		for end := time.Now().Add(time.Minute); !s.Any(seen); time.Sleep(50 * time.Millisecond) {
			text := l.monitored("/metrics")
			for _, m := range exemplar.FindAllStringSubmatch(text, -1) {
				seen[m[1]] = true
			}
			if time.Now().After(end) {
				l.t.Fatalf("%s leads to no trace, or to ones that do not exist: %v\n%s", h, seen, text)
			}
		}
	}
}

// explained reports spans that the guide does not explain.
func explained(t *testing.T, all []tracetest.Span) {
	t.Helper()
	guide, err := os.ReadFile("../../deploy/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		kind := strings.Fields(x.Name)[0]
		if x.Name == "recovery point" {
			kind = x.Name
		}
		if !strings.Contains(string(guide), "\n| `"+kind+"` |") {
			t.Errorf("deploy/tracing.md does not explain %s", x.Name)
		}
	}
}

// A command line that has a collector shows it what comes of a command, within the
// trace of the script that called it.
func TestACommandLineBeginsATrace(t *testing.T) {
	s := tracetest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	t.Setenv("TRACEPARENT", "00-"+trace+"-b7ad6b7169203331-01")
	d := newDesk(t)
	dir := t.TempDir()
	d.apply(0, goodJob(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	d.do(exitNotFound, "job", "run", "nosuch")
	got := s.Await(t, trace, "tidemark apply", "send tidemark.api.v1.{site}.scheduler.job-apply", "process tidemark.api.v1.{site}.scheduler.job-apply", "tidemark job run")
	for _, x := range got {
		if x.Name == "tidemark job run" && (x.Service != "tidemark-cli" || x.About["error.type"] != string(cdp.NotFound)) {
			t.Errorf("%+v", x)
		}
	}
}
