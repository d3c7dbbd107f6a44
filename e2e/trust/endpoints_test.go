package trust

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// people is what persons ask for themselves, by service. What are steps of a run, or the
// end of a job at the vCenter, they have services ask, which check first that it may be.
var people = map[string][]string{
	subjects.Journal:   {api.JournalOpen, api.JournalEditPoint, api.JournalTested},
	subjects.Scheduler: {api.JobApply, api.JobDelete},
	subjects.Failover:  {api.FailoverStart},
	subjects.VCenter:   {api.SiteApply, api.SiteDelete, api.TransporterRemove, api.FilterChange},
}

// mayAsk says whether a role may ask for an endpoint of harm. A plan starts failovers, and
// its actions ask the vcenter service for nothing that is of harm.
func mayAsk(role, service, endpoint string) bool {
	switch role {
	case subjects.Operator:
		return slices.Contains(people[service], endpoint)
	case subjects.Orchestrator:
		return service == subjects.Failover
	}
	return slices.Contains(harm[service][endpoint], role)
}

// harm are endpoints that destroy, stop or move something, by service, and who needs
// them.
var harm = map[string]map[string][]string{
	subjects.Journal: {
		api.JournalHalt: {subjects.Failover}, api.JournalSeal: {subjects.Failover}, api.JournalOpen: {subjects.Failover}, api.JournalAbsorb: {subjects.Failover},
		api.JournalMoveBase: {subjects.Failover}, api.JournalRelease: {subjects.Failover}, api.JournalFill: {subjects.Failover}, api.JournalEditPoint: nil,
		api.JournalTested: {subjects.Failover},
	},
	subjects.Scheduler: {api.JobApply: nil, api.JobDelete: nil, api.VMGroupApply: {subjects.VCenter}, api.VMGroupDelete: {subjects.VCenter}},
	subjects.Failover:  {api.FailoverStart: nil},
	subjects.VCenter: {
		api.SiteApply: nil, api.SiteDelete: nil, api.VMJobDelete: {subjects.Scheduler}, api.VMRemove: {subjects.Failover}, api.VMKeep: {subjects.Failover},
		api.VMReturn: {subjects.Failover}, api.VMFreeze: {subjects.Capture}, api.TransporterRemove: nil, api.FilterChange: nil,
	},
	subjects.Setup: {api.FramesDelete: {subjects.Capture}, api.FramesPurge: {subjects.Capture}, api.FramesRecreate: {subjects.Capture}},
}

func TestOnlyCallersAreHeard(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	for _, role := range roles() {
		for _, found := range wrongCallers(newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role)), role) {
			t.Error(found)
		}
	}
}

// wrongCallers has a role ask for everything in harm, and gives what is not as it says.
func wrongCallers(a *attacker, role string) (found []string) {
	for service, endpoints := range harm {
		for endpoint := range endpoints {
			may := mayAsk(role, service, endpoint)
			here, there := subjects.RequestSubject("dr", service, endpoint), subjects.RequestSubject("prod", service, endpoint)
			passed := a.try([]attack{{here, "{}"}, {there, "{}"}})
			if slices.Contains(passed, here) != may {
				found = append(found, role+" asks "+service+" for "+endpoint+" and should not, or cannot and should")
			}
			// What destroys crosses no link, but for what a vCenter's people do from here.
			if slices.Contains(passed, there) && endpoint != api.FilterChange && endpoint != api.TransporterRemove {
				found = append(found, role+" asks the other site's "+service+" for "+endpoint)
			}
		}
	}
	return found
}

// A caller who wants the answer somewhere else would write there with the service's
// permissions.
func TestAnswersGoToInboxes(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	var heard struct {
		sync.Mutex
		subjects []string
	}
	spy, js := admin(t, s, "dr")
	if _, err := spy.Subscribe(">", func(m *nats.Msg) { heard.Lock(); heard.subjects = append(heard.subjects, m.Subject); heard.Unlock() }); err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	journal := s.Connect("dr", subjects.Journal)
	answers := func(context.Context, []byte) (any, error) { return "EVIL", nil }
	refuses := func(context.Context, []byte) (any, error) { return nil, errors.New("EVIL") }
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		done <- journal.Serve(ctx, subjects.Journal, map[string]api.Endpoint{api.JournalCursor: answers, api.JournalSums: refuses})
	}()
	defer func() { cancel(); <-done }()
	capture := s.Connect("dr", subjects.Capture)
	ask := func() error {
		return capture.Request(t.Context(), "dr", subjects.Journal, api.JournalCursor, nil, nil)
	}
	bustest.Eventually(t, "answered", func() bool { return ask() == nil })

	a := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", subjects.Capture))
	var evil []string
	for _, reply := range []string{
		"tidemark.evt.v1.dr.journal.x.evil", "tidemark.dlq.v1.dr.journal.x.evil", "$KV.tidemark-state.journal.evil", "$KV.tidemark-spec.job.evil", "tidemark.ack.v1.prod.dr.evil",
		"tidemark.cmd.v1.dr.failover.start.evil", "$JS.API.STREAM.DELETE.EVT", "$JS.ACK.CMD.journal.1.1.1.1.0", "stored.evil", "evil",
	} {
		evil = append(evil, reply)
		for _, endpoint := range []string{api.JournalCursor, api.JournalSums} {
			if err := a.nc.PublishRequest(subjects.RequestSubject("dr", subjects.Journal, endpoint), reply, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// The service takes requests in order: when it has answered this one, it has seen
	// the others.
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	heard.Lock()
	defer heard.Unlock()
	for _, subject := range heard.subjects {
		if slices.Contains(evil, subject) {
			t.Errorf("answered at %s", subject)
		}
	}
	if all := inventory(t, js); !strings.Contains(all, `"name":"EVT"`) {
		t.Error("a stream is gone")
	}
}
