package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
	"tidemark.dev/services/scheduler"
)

// TestProtectedOnlyWhenAllSaySo: whatever is known or not, a job is called
// protected only if it runs, was measured a moment ago and met its objective,
// and both sites answer that all is as it should be. What is not protected has
// a problem that says why.
func TestProtectedOnlyWhenAllSaySo(t *testing.T) {
	now := time.Unix(9000, 0)
	good := 0
	rapid.Check(t, func(t *rapid.T) {
		// Mostly good, so that single faults are met.
		odd := func(name string) bool { return rapid.IntRange(0, 14).Draw(t, name) == 0 }
		pick := func(name, usual string, others ...string) string {
			if odd(name) {
				return rapid.SampledFrom(others).Draw(t, name+" is")
			}
			return usual
		}
		f := facts{job: spec.ReplicationJob{Name: "web", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod"}}, now: now}
		if !odd("no run state") {
			f.run = &scheduler.RunState{Desired: scheduler.Desired(pick("run", "running", "stopped", ""))}
		}
		if !odd("no rpo") {
			f.rpo = &rpo.Record{State: rpo.State{Status: rpo.Status(pick("rpo", "met", "no-data", "breached", "failed", "")), At: now}}
			if odd("old rpo") {
				f.rpo.At = now.Add(-time.Minute)
			}
		}
		if odd("journal silent") {
			f.journalErr = errors.New("silent")
		} else if !odd("no journal") {
			f.journal = &api.GroupStatus{State: event.JournalState(pick("journal", "receiving", "link-down", "halted", "sealed", "failed", "full")), Consistent: !odd("inconsistent"), Frame: 5,
				Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}}
		}
		if odd("capture silent") {
			f.captureErr = cdp.Errorf(cdp.Transient, "ask", "", "silent")
		} else if !odd("no capture") {
			f.capture = &api.CaptureGroup{State: event.CaptureState(pick("capture", "replicating", "detached", "seeding", "overflow", "resyncing", "needs-resync", "fenced", "stopped"))}
		}
		if odd("failover") {
			s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToFiles}, failoverrun.Pinned{}, now)
			f.failover = &s
		}
		fine := f.run != nil && f.run.Running() && f.rpo != nil && f.rpo.Status == rpo.Met && f.rpo.At.Equal(now) &&
			f.journal != nil && f.journal.State == "receiving" && f.journal.Consistent &&
			f.capture != nil && f.capture.State == "replicating" && f.failover == nil
		h := judge(f)
		if (h.State == stProtected) != fine {
			t.Fatalf("%q, but fine is %v: %+v", h.State, fine, h.Problems)
		}
		if fine != (len(h.Problems) == 0) && h.State != stFailedOver {
			t.Fatalf("%q with problems %+v", h.State, h.Problems)
		}
		if f.rpo == nil && h.RPO != "no data" {
			t.Fatal("an RPO from nowhere:", h.RPO)
		}
		if fine {
			good++
		}
	})
	if good == 0 {
		t.Fatal("nothing was ever fine")
	}
}

// What nobody tells of a VM that runs is lost, and said so with the reason; of
// one that is off there is nothing to lose.
func TestAVMThatNobodySeesIsNotProtected(t *testing.T) {
	now := time.Unix(9000, 0)
	for _, x := range []struct {
		rpo         rpo.Status
		member      *api.VMMember
		state, text string
	}{
		{rpo.Met, nil, stUnseen, "no client tells"},
		{rpo.Met, &api.VMMember{Power: "on", Unseen: "its I/O filter was found detached"}, stUnseen, "found detached"},
		{rpo.Breached, &api.VMMember{Power: "on"}, stLate, "no client tells"},
		{rpo.Met, &api.VMMember{Power: "off"}, stOff, "powered off"},
		{rpo.Breached, &api.VMMember{Power: "off"}, stOff, "powered off"},
	} {
		h := judge(facts{now: now, member: x.member,
			job:     spec.ReplicationJob{Name: "shop-web", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod", Capture: cdp.Tap, VM: "uuid"}},
			run:     &scheduler.RunState{Desired: scheduler.Running},
			rpo:     &rpo.Record{State: rpo.State{Status: x.rpo, At: now}},
			journal: &api.GroupStatus{State: "receiving", Consistent: true, Frame: 5, Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}},
			capture: &api.CaptureGroup{State: "needs-resync", Reason: "no client tells the writes to system"}})
		last := problem{}
		if n := len(h.Problems); n > 0 {
			last = h.Problems[n-1]
		}
		if h.State != x.state || !strings.Contains(last.Text, x.text) {
			t.Errorf("%v %+v: %q, %+v", x.rpo, x.member, h.State, h.Problems)
		}
	}
	v := judgeVM(api.VMMember{VM: "web", State: "ready", Unseen: "it cannot be attached"}, &jobHealth{health: health{State: stProtected}})
	if v.State != stUnseen || len(v.Problems) != 1 {
		t.Errorf("%+v", v)
	}
}

// Why a job makes no points, or is not captured at all, is said with what to do.
func TestAJobThatMakesNoPointsSaysWhy(t *testing.T) {
	now := time.Unix(9000, 0)
	why, grant := "freeze shop: the user lacks VirtualMachine.State.CreateSnapshot", "grant it"
	for _, x := range []struct {
		rpo     rpo.Status
		capture *api.CaptureGroup
		refused *api.CaptureRefused
		state   string
	}{
		{rpo.Met, &api.CaptureGroup{State: "replicating", Reason: why, Hint: grant}, nil, stNoPoints},
		{rpo.Breached, &api.CaptureGroup{State: "replicating", Reason: why, Hint: grant}, nil, stLate},
		{rpo.Breached, &api.CaptureGroup{State: "resyncing", Reason: why, Hint: grant}, nil, stLate},
		{rpo.Breached, &api.CaptureGroup{State: "seeding", Reason: why, Hint: grant}, nil, stLate},
		{rpo.Breached, nil, &api.CaptureRefused{Reason: why, Hint: grant}, stLate},
		{rpo.Met, nil, &api.CaptureRefused{Reason: why, Hint: grant}, stNoData},
	} {
		h := judge(facts{now: now, capture: x.capture, refused: x.refused,
			job:     spec.ReplicationJob{Name: "shop", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod", Capture: cdp.CBT, VM: "uuid"}},
			run:     &scheduler.RunState{Desired: scheduler.Running},
			rpo:     &rpo.Record{State: rpo.State{Status: x.rpo, At: now}},
			journal: &api.GroupStatus{State: "receiving", Consistent: true, Frame: 5, Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}}})
		last := h.Problems[len(h.Problems)-1]
		if h.State != x.state || !strings.Contains(last.Text, why) || last.Do != grant {
			t.Errorf("%+v: %q, %+v", x, h.State, h.Problems)
		}
	}
}
