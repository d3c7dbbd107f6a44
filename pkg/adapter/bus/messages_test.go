package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// background runs fn until the test ends.
func background(t *testing.T, fn func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// recorder keeps what was seen.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (r *recorder) add(s string) { r.mu.Lock(); defer r.mu.Unlock(); r.seen = append(r.seen, s) }
func (r *recorder) has(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.seen {
		if strings.Contains(x, s) {
			return true
		}
	}
	return false
}
func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.seen, "\n")
}

func (r *recorder) watch(c *bus.Conn, f bus.EventFilter) func(context.Context) error {
	return func(ctx context.Context) error {
		return c.WatchEvents(ctx, f, func(_ context.Context, e bus.SeenEvent) error {
			r.add(e.Type + " " + string(e.Data))
			return nil
		})
	}
}

func TestEventsReachThePeerOverACut(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "operator")
	var far, narrow recorder
	background(t, far.watch(cd, bus.EventFilter{Site: "prod"}))
	background(t, narrow.watch(cd, bus.EventFilter{Site: "prod", Area: "capture", Fact: "progress", ID: "vm2"}))
	emit := func(group cdp.GroupID, done int64) {
		t.Helper()
		if err := cp.Emit(t.Context(), event.CaptureProgress{Group: group, Done: done, Total: 1000}); err != nil {
			t.Fatal(err)
		}
	}
	emit("vm1", 1)
	bustest.Eventually(t, "first", func() bool { return far.has(`"done":1,`) })
	s.Link.Cut()
	for i := range int64(20) {
		emit("vm1", 100+i)
	}
	emit("vm2", 7)
	s.Link.Heal()
	bustest.Eventually(t, "all", func() bool { return narrow.has(`"done":7,`) && far.has(`"done":7,`) })
	if len(far.seen) != 22 || len(narrow.seen) != 1 {
		t.Fatal(&far)
	}
	if err := cp.Emit(t.Context(), event.CaptureProgress{Group: "VM", Done: 1}); !cdp.Is(err, cdp.Invalid) {
		t.Fatal(err)
	}
	if err := cp.Emit(t.Context(), event.CaptureMark{Group: "vm1"}); !cdp.Is(err, cdp.Invalid) {
		t.Fatal(err)
	}
	s.Link.Cut()
	bustest.Eventually(t, "cut", func() bool { return s.Prod.Joined() == 0 && s.DR.Joined() == 0 })
	if _, err := cd.Command(t.Context(), "prod", event.CaptureMark{Group: "vm1"}); !cdp.Is(err, cdp.Transient) || cdp.HintOf(err) == "" {
		t.Fatal(err)
	}
}

func TestWatchFromNow(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	c := s.Connect("prod", "scheduler")
	emit := func(n uint64) {
		if err := c.Emit(t.Context(), event.JobApplied{Job: "vm1", Revision: n}); err != nil {
			t.Error(err)
		}
	}
	emit(1)
	var r recorder
	background(t, r.watch(c, bus.EventFilter{Site: "prod", Newest: true}))
	n := uint64(100)
	bustest.Eventually(t, "a new one", func() bool { n++; emit(n); return r.has("applied") })
	if r.has(`"revision":1}`) {
		t.Fatal(&r)
	}
	s.Prod.Close()
	s.StartProd()
	bustest.Eventually(t, "connected", c.Connected)
	n = 900
	bustest.Eventually(t, "after the restart", func() bool {
		n++
		err := c.Emit(t.Context(), event.JobApplied{Job: "vm1", Revision: n})
		return err == nil && r.has(`"revision":9`)
	})
}

// commandRig has a capture service at prod that takes the command mark, and an
// operator at dr who sends it and watches what becomes of it.
type commandRig struct {
	t                 *testing.T
	sites             *bustest.Sites
	capture, operator *bus.Conn
	events, handled   recorder
	tries             int // of the group flaky
}

func newCommandRig(t *testing.T) *commandRig {
	s := bustest.Start(t, bustest.Secured)
	r := &commandRig{t: t, sites: s, capture: s.Connect("prod", "capture"), operator: s.Connect("dr", "operator")}
	background(t, r.events.watch(r.operator, bus.EventFilter{Site: "prod", Area: "command"}))
	return r
}

// mark sends the command for a group; serve handles such commands.
func (r *commandRig) mark(group cdp.GroupID) error {
	_, err := r.operator.Command(r.t.Context(), "prod", event.CaptureMark{Group: group})
	return err
}

func (r *commandRig) serve() (stop func()) {
	return background(r.t, func(ctx context.Context) error {
		return r.capture.HandleCommands(ctx, "capture", map[string]bus.Handler{"mark": r.handle})
	})
}

func (r *commandRig) handle(_ context.Context, e event.Event) error {
	var m event.CaptureMark
	if err := e.Into(&m); err != nil {
		return err
	}
	switch m.Group {
	case "busy":
		return cdp.Errorf(cdp.Conflict, "mark", "busy", "the group is resyncing").WithHint("wait")
	case "twice":
		return cdp.Errorf(cdp.Duplicate, "mark", "twice", "done already")
	case "flaky":
		if r.tries++; r.tries < 3 {
			return cdp.Errorf(cdp.Transient, "mark", "flaky", "not now")
		}
	}
	r.handled.add(string(m.Group) + " by " + e.Source)
	return nil
}

// A transient failure is retried, a refusal becomes an event with its hint, and
// a duplicate is acknowledged in silence.
func TestCommandsAreHandledRefusedOrRetried(t *testing.T) {
	r := newCommandRig(t)
	for _, g := range []cdp.GroupID{"vm1", "busy", "twice", "flaky"} {
		if err := r.mark(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.mark("vm1"); !bus.IsPending(err) || !cdp.Is(err, cdp.Conflict) || cdp.HintOf(err) == "" || strings.Contains(err.Error(), "nats") {
		t.Fatalf("a second pending command: %v", err)
	}
	r.serve()
	bustest.Eventually(t, "handled", func() bool { return r.handled.has("vm1 by /dr/operator") && r.handled.has("flaky") })
	bustest.Eventually(t, "refused", func() bool { return r.events.has("resyncing") })
	if r.handled.has("twice") || r.handled.has("busy") || r.events.has("twice") || !r.events.has(`"hint":"wait"`) || r.tries != 3 {
		t.Fatal(&r.handled, &r.events, r.tries)
	}
}

// A person may publish a command by hand, as bare JSON or as a CloudEvent. A bad
// one is refused with the reason and kept as a dead letter.
func TestCommandsTypedByHand(t *testing.T) {
	r := newCommandRig(t)
	r.serve()
	nc := admin(t, r.sites.Tree, "prod")
	send := func(id, data string, header nats.Header) {
		t.Helper()
		if err := nc.PublishMsg(&nats.Msg{Subject: "tidemark.cmd.v1.prod.capture." + id, Data: []byte(data), Header: header}); err != nil {
			t.Fatal(err)
		}
	}
	send("mark.bare", `{"group":"bare","requested":true}`, nil)
	send("mark.typed", `{"group":"typed","requested":true}`, nats.Header{"CE-SpecVersion": {"1.0"}, "Ce-Id": {"x1"}, "Ce-Source": {"me"}, "Ce-Type": {"tidemark.cmd.v1.capture.mark"}})
	send("mark.bad", `{"group":"bad","requested":true,"zzz":1}`, nil)
	send("mark.other", `{"group":"vm1","requested":true}`, nil)
	send("mark.nonsense", `nonsense`, nil)
	send("unknown.x", `{}`, nil)
	bustest.Eventually(t, "typed by hand", func() bool { return r.handled.has("bare by unknown") && r.handled.has("typed by me") })
	bustest.Eventually(t, "refused", func() bool {
		return r.events.has("zzz") && r.events.has("came on the subject") && r.events.has("not a JSON object") && r.events.has("no such command")
	})
	if r.handled.has("bad") {
		t.Fatal(&r.handled)
	}
	letter, err := nc.Request("$JS.API.DIRECT.GET.DLQ.tidemark.dlq.v1.prod.capture.mark.bad", nil, time.Minute)
	if err != nil || !strings.Contains(string(letter.Data), "zzz") || !strings.Contains(letter.Header.Get("Tidemark-Reason"), "zzz") ||
		letter.Header.Get("Tidemark-Subject") != "tidemark.cmd.v1.prod.capture.mark.bad" {
		t.Fatal(letter, err)
	}
}

// Commands survive restarts of the service and of the server.
func TestCommandsSurviveRestarts(t *testing.T) {
	r := newCommandRig(t)
	stop := r.serve()
	if err := r.mark("vm1"); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "handled", func() bool { return r.handled.has("vm1") })
	stop()
	if err := r.mark("later"); err != nil {
		t.Fatal(err)
	}
	restart := func() { r.sites.Prod.Close(); r.sites.StartProd() }
	restart()
	r.serve()
	bustest.Eventually(t, "after restart", func() bool { return r.handled.has("later") })
	restart()
	r.sites.Joined()
	bustest.Eventually(t, "sent again", func() bool { return r.mark("again") == nil })
	bustest.Eventually(t, "while handling", func() bool { return r.handled.has("again") })
}

func TestRequests(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	server, client := s.Connect("dr", "vcenter"), s.Connect("prod", "operator")
	ask := func(endpoint string, in, out any) error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		return client.Request(ctx, "dr", "vcenter", endpoint, in, out)
	}
	if err := ask(api.VCenterVMs, nil, nil); !cdp.Is(err, cdp.Transient) || !strings.Contains(cdp.HintOf(err), "vcenter is not running at site dr") {
		t.Fatal(err, cdp.HintOf(err))
	}
	var long []int // some 5 MiB
	for i := range 700_000 {
		long = append(long, i)
	}
	background(t, func(ctx context.Context) error {
		return server.Serve(ctx, "vcenter", map[string]api.Endpoint{
			api.VCenterVMs: func(_ context.Context, req []byte) (any, error) { return map[string]string{"got": string(req)}, nil },
			api.VCenterCheck: func(context.Context, []byte) (any, error) {
				e := cdp.Errorf(cdp.Fenced, "find point", "p1", "line one\nline two")
				return nil, fmt.Errorf("outer: %w", e.WithHint("try p2"))
			},
			api.VCenterInventory: func(context.Context, []byte) (any, error) { return long, nil },
			api.VCenterMembers:   func(context.Context, []byte) (any, error) { return strings.Repeat("x", 33<<20), nil },
		})
	})
	var out map[string]string
	bustest.Eventually(t, "answered", func() bool { return ask(api.VCenterVMs, map[string]string{"after": "x"}, &out) == nil })
	if out["got"] != `{"after":"x"}` {
		t.Fatal(out)
	}
	err := ask(api.VCenterCheck, nil, nil)
	var e *cdp.Error
	if !errors.As(err, &e) || e.Op != "find point" || e.Kind != cdp.Fenced || e.Subject != "p1" || e.Hint != "try p2" || e.Cause.Error() != "line one\nline two" {
		t.Fatalf("%+v", err)
	}
	// An answer that is longer than a message comes in parts; somebody who asks
	// with other tools is told so.
	var got []int
	if err := ask(api.VCenterInventory, nil, &got); err != nil || !slices.Equal(got, long) {
		t.Fatal(len(got), err)
	}
	if err := ask(api.VCenterMembers, nil, nil); !cdp.Is(err, cdp.Full) {
		t.Fatal(err)
	}
	cred := s.Credential("dr", "operator")
	nc, err := nats.Connect(s.DR.ClientURL(), nats.UserInfo(cred.User, cred.Password), nats.CustomInboxPrefix("_INBOX_operator"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	m, err := nc.Request(subjects.RequestSubject("dr", "vcenter", api.VCenterInventory), nil, time.Minute)
	if err != nil || m.Header.Get("Nats-Service-Error-Code") != string(cdp.Full) {
		t.Fatal(m, err)
	}
	s.Link.Cut()
	bustest.Eventually(t, "cut", func() bool { return s.Prod.Joined() == 0 })
	if err := ask(api.VCenterVMs, nil, nil); !cdp.Is(err, cdp.Transient) {
		t.Fatal(err)
	}
}

// A vCenter may take long, and its answer must be heard all the same.
func TestASlowAnswerIsHeard(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	server, client := s.Connect("dr", "vcenter"), s.Connect("prod", "operator")
	slow := false
	background(t, func(ctx context.Context) error {
		return server.Serve(ctx, "vcenter", map[string]api.Endpoint{api.VCenterMembers: func(context.Context, []byte) (any, error) {
			if slow {
				time.Sleep(7 * time.Second)
			}
			return "frozen", nil
		}})
	})
	ask := func() (out string, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return out, client.Request(ctx, "dr", "vcenter", api.VCenterMembers, nil, &out)
	}
	bustest.Eventually(t, "it serves", func() bool { _, err := ask(); return err == nil })
	slow = true
	if out, err := ask(); err != nil || out != "frozen" {
		t.Fatal(out, err)
	}
}

// A service is killed while it answers. Whoever asked has time for much more, but does
// not spend it all on an answer that never comes.
func TestALostAnswerCostsOneQuestion(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	server, client := s.Connect("dr", "vcenter"), s.Connect("prod", "operator")
	bus.SetLongestAnswer(client, 300*time.Millisecond)
	lost := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return server.Serve(ctx, "vcenter", map[string]api.Endpoint{api.VCenterMembers: func(context.Context, []byte) (any, error) {
			<-lost
			return "too late", nil
		}})
	})
	t.Cleanup(func() { close(lost) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	bustest.Eventually(t, "no answer came", func() bool {
		err := client.Request(ctx, "dr", "vcenter", api.VCenterMembers, nil, nil)
		return cdp.Is(err, cdp.Transient) && errors.Is(err, context.DeadlineExceeded)
	})
}
