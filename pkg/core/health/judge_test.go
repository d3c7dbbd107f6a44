package health

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
)

// Whatever is known or not, a job is protected only if it runs, was measured a
// moment ago within its objective, and both sites answer that all is well. A job
// that is not protected has a problem that says why.
func TestProtectedOnlyWhenAllSaySo(t *testing.T) {
	now := time.Unix(9000, 0)
	good := 0
	rapid.Check(t, func(t *rapid.T) {
		// Mostly good, so that single faults are common.
		odd := func(name string) bool { return rapid.IntRange(0, 14).Draw(t, name) == 0 }
		pick := func(name, usual string, others ...string) string {
			if odd(name) {
				return rapid.SampledFrom(others).Draw(t, name+" is")
			}
			return usual
		}
		f := Facts{Job: spec.ReplicationJob{Name: "web", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod"}}, Now: now}
		f.Running = !odd("stopped")
		if !odd("no rpo") {
			f.RPO = &rpo.Record{State: rpo.State{Status: rpo.Status(pick("rpo", "met", "no-data", "breached", "failed", "")), At: now}}
			if odd("old rpo") {
				f.RPO.At = now.Add(-time.Minute)
			}
		}
		if odd("journal silent") {
			f.JournalErr = errors.New("silent")
		} else if !odd("no journal") {
			f.Journal = &api.GroupStatus{State: event.JournalState(pick("journal", "receiving", "link-down", "halted", "sealed", "failed", "full")), Consistent: !odd("inconsistent"), Frame: 5,
				Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}}
		}
		if odd("capture silent") {
			f.CaptureErr = cdp.Errorf(cdp.Transient, "ask", "", "silent")
		} else if !odd("no capture") {
			f.Capture = &api.CaptureGroup{State: event.CaptureState(pick("capture", "replicating", "detached", "seeding", "overflow", "resyncing", "needs-resync", "fenced", "stopped"))}
		}
		if odd("failover") {
			s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToFiles}, failoverrun.Pinned{}, nil, now)
			f.Failover = &s
		}
		fine := f.Running && f.RPO != nil && f.RPO.Status == rpo.Met && f.RPO.At.Equal(now) &&
			f.Journal != nil && f.Journal.State == "receiving" && f.Journal.Consistent &&
			f.Capture != nil && f.Capture.State == "replicating" && f.Failover == nil
		h := Judge(f)
		if (h.State == Protected) != fine {
			t.Fatalf("%q, but fine is %v: %+v", h.State, fine, h.Problems)
		}
		if fine != (len(h.Problems) == 0) && h.State != FailedOver {
			t.Fatalf("%q with problems %+v", h.State, h.Problems)
		}
		if f.RPO == nil && h.RPO != "no data" {
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

// The writes of a running VM that nobody reports are lost, and status says so with
// the reason. A VM that is off has none to lose.
func TestAVMWhoseWritesAreNotReportedIsNotProtected(t *testing.T) {
	now := time.Unix(9000, 0)
	for _, x := range []struct {
		rpo    rpo.Status
		member *api.VMMember
		state  State
		text   string
	}{
		{rpo.Met, nil, NotCaptured, "no client tells"},
		{rpo.Met, &api.VMMember{Power: "on", Unseen: "its I/O filter was found detached"}, NotCaptured, "found detached"},
		{rpo.Breached, &api.VMMember{Power: "on"}, Late, "no client tells"},
		{rpo.Met, &api.VMMember{Power: "off"}, PoweredOff, "powered off"},
		{rpo.Breached, &api.VMMember{Power: "off"}, PoweredOff, "powered off"},
	} {
		h := Judge(Facts{Now: now, Member: x.member,
			Job:     spec.ReplicationJob{Name: "shop-web", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod", Capture: cdp.Tap, VM: "uuid"}},
			Running: true,
			RPO:     &rpo.Record{State: rpo.State{Status: x.rpo, At: now}},
			Journal: &api.GroupStatus{State: "receiving", Consistent: true, Frame: 5, Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}},
			Capture: &api.CaptureGroup{State: "needs-resync", Reason: "no client tells the writes to system"}})
		last := Problem{}
		if n := len(h.Problems); n > 0 {
			last = h.Problems[n-1]
		}
		if h.State != x.state || !strings.Contains(last.Text, x.text) {
			t.Errorf("%v %+v: %q, %+v", x.rpo, x.member, h.State, h.Problems)
		}
	}
	v := judgeVM(api.VMMember{VM: "web", State: "ready", Unseen: "it cannot be attached"}, &Group{State: Protected})
	if v.State != NotCaptured || len(v.Problems) != 1 {
		t.Errorf("%+v", v)
	}
}

// A job that makes no points, or is not captured at all, says why and what to do.
func TestAJobThatMakesNoPointsSaysWhy(t *testing.T) {
	now := time.Unix(9000, 0)
	why, grant := "freeze shop: the user lacks VirtualMachine.State.CreateSnapshot", "grant it"
	for _, x := range []struct {
		rpo     rpo.Status
		capture *api.CaptureGroup
		refused *api.CaptureRefused
		state   State
	}{
		{rpo.Met, &api.CaptureGroup{State: "replicating", Reason: why, Hint: grant}, nil, NoNewPoints},
		{rpo.Breached, &api.CaptureGroup{State: "replicating", Reason: why, Hint: grant}, nil, Late},
		{rpo.Breached, &api.CaptureGroup{State: "resyncing", Reason: why, Hint: grant}, nil, Late},
		{rpo.Breached, &api.CaptureGroup{State: "seeding", Reason: why, Hint: grant}, nil, Late},
		{rpo.Breached, nil, &api.CaptureRefused{Reason: why, Hint: grant}, Late},
		{rpo.Met, nil, &api.CaptureRefused{Reason: why, Hint: grant}, NoData},
	} {
		h := Judge(Facts{Now: now, Capture: x.capture, Refused: x.refused,
			Job:     spec.ReplicationJob{Name: "shop", RPO: spec.Duration(5 * time.Second), Source: spec.Source{Site: "prod", Capture: cdp.CBT, VM: "uuid"}},
			Running: true,
			RPO:     &rpo.Record{State: rpo.State{Status: x.rpo, At: now}},
			Journal: &api.GroupStatus{State: "receiving", Consistent: true, Frame: 5, Newest: &cdp.Point{Frame: 4, Time: now}, Oldest: &cdp.Point{Frame: 2, Time: now}}})
		last := h.Problems[len(h.Problems)-1]
		if h.State != x.state || !strings.Contains(last.Text, why) || last.Do != grant {
			t.Errorf("%+v: %q, %+v", x, h.State, h.Problems)
		}
	}
}
