package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// What services are asked is recorded with who asked, from where, and what came of it.
// What nobody asked for is not, and waiting for an answer makes no second record. Not
// even set-up can remove a record.
func TestWhatServicesAreAskedIsRecorded(t *testing.T) {
	r := newCommandRig(t)
	r.serve()
	scheduler := r.sites.Connect("prod", subjects.Scheduler)
	background(t, func(ctx context.Context) error {
		return scheduler.Serve(ctx, subjects.Scheduler, map[string]api.Endpoint{
			api.JobApply: func(_ context.Context, in []byte) (any, error) {
				if strings.Contains(string(in), "bad") {
					return api.ApplyReply{Problems: []api.Problem{{Kind: cdp.Invalid, Path: "/spec/rpo", Text: "too short"}}}, nil
				}
				return api.ApplyReply{}, nil
			},
			api.JobDelete: func(context.Context, []byte) (any, error) {
				return nil, cdp.Errorf(cdp.Conflict, "delete job", "web", "it is locked")
			},
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	alice, err := bus.Connect(ctx, bus.Config{Site: "prod", Name: subjects.Operator, Who: "alice@desk",
		URL: r.sites.Prod.ClientURL(), Credential: r.sites.Tree.Credential("prod", subjects.Operator)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alice.Close)
	for _, group := range []cdp.GroupID{"vm1", "busy"} {
		if _, err := alice.Command(ctx, "prod", event.CaptureMark{Group: group, Requested: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.mark("routine"); err != nil {
		t.Fatal(err)
	}
	ask := func(endpoint, in string) error {
		request := map[string]any{"job": in}
		if endpoint == api.JobApply {
			request = map[string]any{"document": map[string]any{"metadata": map[string]string{"name": in}}}
		}
		return alice.Request(ctx, "prod", subjects.Scheduler, endpoint, request, nil)
	}
	bustest.Eventually(t, "the scheduler", func() bool { return ask(api.JobApply, "web") == nil })
	for _, in := range []string{"web", "web", "bad"} {
		if err := ask(api.JobApply, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(api.JobDelete, "web"); !cdp.Is(err, cdp.Conflict) {
		t.Fatal(err)
	}
	bustest.Eventually(t, "handled", func() bool { return r.handled.has("routine") && r.events.has("resyncing") })

	want := []string{
		"capture.mark of busy for alice@desk from /prod/operator: refused conflict: mark busy: the group is resyncing",
		"capture.mark of vm1 for alice@desk from /prod/operator: done : ",
		"scheduler.job-apply of bad for alice@desk from /prod/operator: refused invalid: apply: /spec/rpo: too short",
		"scheduler.job-apply of web for alice@desk from /prod/operator: done : ",
		"scheduler.job-delete of web for alice@desk from /prod/operator: refused conflict: delete job web: it is locked",
	}
	records := func() []string { return recordsOf(t, alice, "prod") }
	bustest.Eventually(t, "all records", func() bool { return len(records()) >= len(want) })
	if got := records(); !slices.Equal(got, want) {
		t.Fatalf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	setup := admin(t, r.sites.Tree, "prod")
	for _, verb := range []string{"PURGE", "MSG.DELETE"} {
		m, err := setup.Request("$JS.API.STREAM."+verb+"."+subjects.StreamAudit, []byte(`{"seq":1}`), time.Minute)
		if err != nil || !strings.Contains(string(m.Data), `"error"`) {
			t.Errorf("%s: %v, %v", verb, m, err)
		}
	}
	if got := records(); !slices.Equal(got, want) {
		t.Errorf("after that: %s", strings.Join(got, "\n"))
	}
	theCopyStays(t, r, setup, want)
}

// theCopyStays: with the whole stream deleted, the linked site has its copy, from which
// not even its own set-up can remove a record.
func theCopyStays(t *testing.T, r *commandRig, setup *nats.Conn, want []string) {
	t.Helper()
	operator := r.sites.Connect("dr", subjects.Operator)
	copied := func() []string { return recordsOf(t, operator, "prod") }
	bustest.Eventually(t, "copied", func() bool { return slices.Equal(copied(), want) })
	if _, err := setup.Request("$JS.API.STREAM.DELETE."+subjects.StreamAudit, nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	far := admin(t, r.sites.Tree, "dr")
	for _, verb := range []string{"PURGE", "MSG.DELETE"} {
		m, err := far.Request("$JS.API.STREAM."+verb+"."+subjects.PeerAudit("prod"), []byte(`{"seq":1}`), time.Minute)
		if err != nil || !strings.Contains(string(m.Data), `"error"`) {
			t.Errorf("%s of the copy: %v, %v", verb, m, err)
		}
	}
	if got := copied(); !slices.Equal(got, want) {
		t.Errorf("the copy, after the records were deleted: %s", strings.Join(got, "\n"))
	}
}

// A caller who lies about where he asks from is not believed: the record names the only
// role that can have asked, and what several may ask for is marked as their own word.
func TestARecordDoesNotBelieveWhereItsCallerSaysHeIs(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	refuse := func(context.Context, []byte) (any, error) { return nil, cdp.Errorf(cdp.Conflict, "do", "web", "no") }
	for service, endpoint := range map[string]string{subjects.Scheduler: api.JobDelete, subjects.Failover: api.FailoverCheck} {
		conn := s.Connect("dr", service)
		background(t, func(ctx context.Context) error {
			return conn.Serve(ctx, service, map[string]api.Endpoint{endpoint: refuse})
		})
	}
	sites := s.Connect("dr", subjects.VCenter)
	background(t, func(ctx context.Context) error {
		return sites.HandleCommands(ctx, subjects.VCenter, map[string]bus.Handler{"site-delete": func(context.Context, event.Event) error { return nil }})
	})
	who := s.Credential("dr", subjects.Operator)
	liar, err := nats.Connect(s.DR.ClientURL(), nats.UserInfo(who.User, who.Password), nats.CustomInboxPrefix(bus.InboxPrefix(subjects.Operator)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(liar.Close)
	operator := s.Connect("dr", subjects.Operator)
	for _, x := range []struct {
		subject, reply, from string
		claimed              bool
	}{
		{subjects.RequestSubject("dr", subjects.Scheduler, api.JobDelete), "_INBOX_scheduler.x", "/dr/operator", false},
		{subjects.RequestSubject("dr", subjects.Failover, api.FailoverCheck), "_INBOX_orchestrator.x", "/dr/orchestrator", true},
		{subjects.CommandSubject("dr", subjects.VCenter, "site-delete", "dr"), liar.NewInbox(), "/dr/operator", false},
	} {
		bustest.Eventually(t, x.subject+" is recorded", func() (found bool) {
			if err := liar.PublishRequest(x.subject, x.reply, []byte(`{"site":"dr"}`)); err != nil {
				t.Fatal(err)
			}
			if err := operator.Audit(t.Context(), "dr", func(r api.AuditRecord) error {
				if !strings.Contains(x.subject, "."+r.Service+"."+r.What) {
					return nil
				}
				if found = true; r.From != x.from || r.Claimed != x.claimed {
					t.Errorf("%s is recorded as from %s, claimed: %v", x.subject, r.From, r.Claimed)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return found
		})
	}
}

// recordsOf are the records of a site as text, sorted, as a connection's site has them.
func recordsOf(t *testing.T, c *bus.Conn, of cdp.Site) (out []string) {
	t.Helper()
	if err := c.Audit(t.Context(), of, func(r api.AuditRecord) error {
		if r.Site != of || r.At.IsZero() || r.Input == "" {
			t.Errorf("%+v", r)
		}
		out = append(out, fmt.Sprintf("%s.%s of %s for %s from %s: %s %s: %s", r.Service, r.What, r.About, r.Who, r.From, r.Outcome, r.Kind, r.Reason))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
