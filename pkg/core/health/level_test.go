package health

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// well is a job that is protected, as facts; change makes something else of it.
func well(change func(*Facts)) Facts {
	point := &cdp.Point{Frame: 4, Seq: 9, Time: noon.Add(-2 * time.Second)}
	f := Facts{Now: noon, Running: true, Started: noon.Add(-time.Hour),
		Job:     spec.ReplicationJob{Name: "web", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod", Capture: cdp.Inline}},
		RPO:     &rpo.Record{State: rpo.State{Status: rpo.Met, Value: 2 * time.Second, Bound: time.Millisecond, At: noon, Since: noon.Add(-time.Hour)}},
		Journal: &api.GroupStatus{State: event.JournalReceiving, Consistent: true, Frame: 5, Newest: point, Oldest: point},
		Capture: &api.CaptureGroup{State: event.Replicating}}
	change(&f)
	return f
}

// copying is a first copy in which capture has sent done of 100 MiB in 10 s.
func copying(f *Facts, state event.CaptureState, done int64) {
	f.RPO.State = rpo.State{Status: rpo.NoData, At: noon}
	f.Journal = &api.GroupStatus{State: event.JournalReceiving, Frame: 5}
	f.Capture = &api.CaptureGroup{State: state, Done: done << 20, Total: 100 << 20, Since: noon.Add(-10 * time.Second)}
}

// A failover run of a mode that has got to a phase.
func ranTo(f *Facts, mode recovery.Mode, phase recovery.Phase) {
	s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r", Mode: mode, To: recovery.ToFiles}, failoverrun.Pinned{}, nil, noon)
	s.Phase = phase
	f.Failover = &s
}

// A verdict never contradicts itself or the world: each row was seen to do so.
func TestAVerdictDoesNotContradictItself(t *testing.T) {
	silentSite := cdp.Errorf(cdp.Transient, "ask", "", "silent")
	for _, x := range []struct {
		name   string
		facts  func(*Facts)
		state  State
		level  Level
		rpo    string
		wanted string // in the problems, with what to do
		lacks  string
	}{
		{"all is well", func(*Facts) {}, Protected, OK, "2s +- 1ms", "", "web"},
		{"deleted, and locked", func(f *Facts) {
			f.Running, f.Journal.State, f.Journal.Lock = false, event.JournalKept, &api.RetentionLock{For: 2 * time.Hour, Left: time.Hour, Deleted: &f.Job}
		}, Stopped, NotProtected, noData, "tidemark get job web -o yaml | tidemark apply -f -", "job run"},
		{"a breach that is over", func(f *Facts) {
			f.RPO.Status, f.RPO.Value, f.RPO.Good = rpo.Breached, 4420*time.Millisecond, noon.Add(-time.Second)
		}, Settling, Warning, "4.42s +- 1ms", "within it again since", "has been above"},
		{"a breach by the clocks' error alone", func(f *Facts) { f.RPO.Status, f.RPO.Value, f.RPO.Bound = rpo.Breached, 4*time.Second, 3*time.Second },
			Late, Warning, "4s +- 3s", "the RPO may be 7s", ""},
		{"met when it was measured, and not now", func(f *Facts) { f.RPO.Value, f.RPO.At = 4*time.Second, noon.Add(-4*time.Second) },
			Late, Warning, "8s +- 1ms", "last measured 4s ago", ""},
		{"a breach with a silent source", func(f *Facts) {
			f.RPO.Status, f.RPO.Value, f.Capture, f.CaptureErr = rpo.Breached, time.Minute, nil, silentSite
		}, Late, NotProtected, "1m0s +- 1ms", "if the site is lost: tidemark failover web --mode production", ""},
		{"a silent source during a test", func(f *Facts) {
			ranTo(f, recovery.Test, recovery.Ready)
			f.Capture, f.CaptureErr = nil, silentSite
		}, Unknown, NotProtected, "2s +- 1ms", "lost: tidemark failover cleanup web, then tidemark failover web --mode production", ""},
		{"a test failover", func(f *Facts) { ranTo(f, recovery.Test, recovery.Ready) }, Protected, OK, "2s +- 1ms", "failover cleanup web", ""},
		{"a production failover, the source silent", func(f *Facts) {
			ranTo(f, recovery.Production, recovery.Ready)
			f.Journal.State, f.Capture, f.CaptureErr = event.JournalHalted, nil, silentSite
		}, FailedOver, NotProtected, "no data", "failover commit web", "--mode production"},
		{"a committed failover, the source silent", func(f *Facts) {
			ranTo(f, recovery.Production, recovery.Committed)
			f.Journal.State, f.Capture, f.CaptureErr, f.RPO.Status = event.JournalSealed, nil, silentSite, rpo.Breached
		}, FailedOver, NotProtected, "no data", "job stop web", "--mode production"},
		{"a committed failover of a stopped job", func(f *Facts) {
			ranTo(f, recovery.Production, recovery.Committed)
			f.Journal.State, f.Running = event.JournalSealed, false
		}, FailedOver, NotProtected, "no data", "delete job web --yes", "job run"},
		{"a first copy", func(f *Facts) { copying(f, event.Seeding, 30) }, Seeding, NotProtected, "none yet", "30 MiB of 100 MiB (30%), 3.0 MiB/s, 23s left", "older points"},
		{"a first copy that was interrupted", func(f *Facts) { copying(f, event.Resyncing, 30) }, Seeding, NotProtected, "none yet", "30%", "older points"},
		{"a first copy on its way to the journal", func(f *Facts) { copying(f, event.Replicating, 100) }, Seeding, NotProtected, "none yet", "on its way", "older points"},
		{"a first copy that the journal has not heard of", func(f *Facts) {
			copying(f, event.Seeding, 1)
			f.Journal = nil
		}, Seeding, NotProtected, "none yet", "(1%)", "has not received"},
		{"a resync", func(f *Facts) {
			f.Journal.Consistent = false
			f.Capture = &api.CaptureGroup{State: event.Resyncing, Done: 30 << 20, Total: 100 << 20, Since: noon.Add(-10 * time.Second)}
		}, Resyncing, Warning, "2s +- 1ms", "(30%), 3.0 MiB/s, 23s left", "a seed or resync"},
		{"a job that was just started", func(f *Facts) {
			f.Started, f.RPO, f.Journal, f.Capture = noon.Add(-time.Second), nil, nil, &api.CaptureGroup{State: event.Detached, Reason: "find journal web: not yet"}
		}, Starting, NotProtected, "none yet", "started a moment ago", "log"},
		{"a job that should have started by now", func(f *Facts) { f.RPO, f.Journal, f.Capture = nil, nil, nil }, NoData, NotProtected, "no data", "not captured at site prod", ""},
		{"a journal that is nearly full", func(f *Facts) { f.Journal.Limit, f.Journal.Bytes = 100, 99 }, Protected, Warning, "2s +- 1ms", "raise journal.size", ""},
		{"a stopped job", func(f *Facts) { f.Running = false }, Stopped, NotProtected, "no data", "job run web", ""},
	} {
		g := Judge(well(x.facts))
		text := ""
		for _, p := range g.Problems {
			text += p.Text + "\n  do: " + p.Do + "\n"
		}
		if g.State != x.state || g.Level != x.level || g.RPO != x.rpo {
			t.Errorf("%s: %q %s, RPO %q; want %q %s, %q\n%s", x.name, g.State, g.Level, g.RPO, x.state, x.level, x.rpo, text)
		}
		if !strings.Contains(text, x.wanted) || x.lacks != "" && strings.Contains(text, x.lacks) {
			t.Errorf("%s: want %q and not %q in:\n%s", x.name, x.wanted, x.lacks, text)
		}
		if n := len(g.Problems); n > 1 && g.State == Seeding {
			t.Errorf("%s: one thing is wrong, and %d problems say so:\n%s", x.name, n, text)
		}
	}
}

// A job on VMs has the RPO of its worst VM, and is as urgent as that.
func TestAJobOnVMsHasTheRPOOfItsWorstVM(t *testing.T) {
	own := func(name string, change func(*Facts)) Group {
		f := well(change)
		f.Job.Name, f.Job.Of = name, "shop"
		return Judge(f)
	}
	st := &api.VMJobState{Job: "shop", Running: true, Members: []api.VMMember{aMember("a", "a", inventory.Ready), aMember("b", "b", inventory.Ready)}}
	fine := own("a", func(*Facts) {})
	for _, x := range []struct {
		b     Group
		rpo   string
		level Level
	}{
		{own("b", func(f *Facts) { f.RPO.Value = 3 * time.Second }), "3s +- 1ms", OK},
		{own("b", func(f *Facts) { f.RPO.Status, f.RPO.Value = rpo.Breached, time.Minute }), "1m0s +- 1ms", Warning},
		{own("b", func(f *Facts) { copying(f, event.Seeding, 30) }), "2s +- 1ms (1 of 2 VMs)", NotProtected},
	} {
		j := JudgeVMs(VMFacts{Job: spec.VMJob{Job: inventory.Job{Name: "shop"}}, State: st, Groups: []Group{fine, x.b}})
		if j.RPO != x.rpo || j.Level != x.level || Worst([]Job{{Group: fine}, j}) != x.level {
			t.Errorf("%q %s, want %q %s", j.RPO, j.Level, x.rpo, x.level)
		}
	}
}
