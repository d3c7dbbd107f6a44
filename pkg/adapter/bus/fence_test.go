package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// fort is a site hub that spoke may dial, with a stream of frames for it.
type fort struct {
	t     *testing.T
	srv   *bus.Server
	seed  string
	admin *nats.Conn // may do and see everything in the account of the streams
	js    jetstream.JetStream
	seen  recorder
}

func newFort(t *testing.T, edit func(string) string) *fort {
	f := &fort{t: t}
	seed, key := bus.NewLinkKey()
	cfg := bus.ServerConfig{
		Site: "hub", StoreDir: t.TempDir(), Listen: "127.0.0.1:0", LeafListen: "127.0.0.1:0",
		Links: []bus.Link{{Peer: "spoke", Key: key}}, Credentials: bus.NewCredentials("hub"),
	}
	var err error
	withSpy := func(text string) string { // the account of the streams has no user
		return strings.Replace(edit(text), "users: [\n    ]", "users: [\n      {user: spy, password: spy}\n    ]", 1)
	}
	if f.srv, err = bus.StartEdited(t.Context(), cfg, withSpy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.srv.Close)
	f.seed = seed
	setup := cfg.Credentials.Users[subjects.Setup]
	c, err := bus.Connect(t.Context(), bus.Config{Site: "hub", Name: subjects.Setup, Server: f.srv, Credential: setup})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := bus.EnsureSite(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := bus.EnsurePeer(t.Context(), c, "spoke"); err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error { return bus.KeepSite(ctx, c) })
	var sink *bus.FrameSink
	bustest.Eventually(t, "frames", func() bool { sink, err = bus.OpenFrames(t.Context(), c, "vm1", "spoke", 1<<20); return err == nil })
	t.Cleanup(func() { sink.Close() })
	if err := sink.Publish(spooltest.Make(1, 1, 512)); err != nil {
		t.Fatal(err)
	}
	<-sink.Results()
	f.listen(setup)
	f.admin = f.listen(bus.Credential{User: "spy", Password: "spy"})
	if f.js, err = jetstream.New(f.admin); err != nil {
		t.Fatal(err)
	}
	return f
}

// listen connects a user, and notes all that its account has.
func (f *fort) listen(who bus.Credential) *nats.Conn {
	f.t.Helper()
	nc, err := nats.Connect(f.srv.ClientURL(), nats.UserInfo(who.User, who.Password))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(nc.Close)
	if _, err := nc.Subscribe(">", func(m *nats.Msg) { f.seen.add(m.Subject + " " + string(m.Data)) }); err != nil {
		f.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		f.t.Fatal(err)
	}
	return nc
}

// streams is what all streams hold.
func (f *fort) streams() string {
	var out []string
	l := f.js.ListStreams(f.t.Context())
	for s := range l.Info() {
		out = append(out, fmt.Sprintf("%s:%d-%d,%dc", s.Config.Name, s.State.FirstSeq, s.State.LastSeq, s.State.Consumers))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// forbidden are subjects that the spoke's key must not reach anything by.
func forbidden() (out []string) {
	verbs := []string{
		"INFO", "STREAM.CREATE.evil", "STREAM.UPDATE.EVT", "STREAM.DELETE.EVT", "STREAM.PURGE.EVT", "STREAM.PURGE.WRITE_vm1", "STREAM.INFO.EVT", "STREAM.INFO.WRITE_vm1",
		"STREAM.LIST", "STREAM.NAMES", "STREAM.MSG.GET.EVT", "STREAM.MSG.DELETE.EVT", "STREAM.SNAPSHOT.EVT", "STREAM.RESTORE.evil",
		"CONSUMER.CREATE.EVT", "CONSUMER.CREATE.EVT.evil", "CONSUMER.CREATE.EVT.evil.>", "CONSUMER.CREATE.WRITE_vm1.frames_spoke", "CONSUMER.DURABLE.CREATE.EVT.evil",
		"CONSUMER.DELETE.WRITE_vm1.frames_spoke", "CONSUMER.INFO.CMD.capture", "CONSUMER.LIST.EVT", "CONSUMER.NAMES.EVT", "CONSUMER.MSG.NEXT.CMD.capture",
		"CONSUMER.MSG.NEXT.WRITE_vm1.frames_other", "CONSUMER.RESET.WRITE_vm1.frames_other", "CONSUMER.RESET.EVT.copy_hub_other", "CONSUMER.PAUSE.WRITE_vm1.frames_spoke",
		"DIRECT.GET.EVT", "DIRECT.GET.WRITE_vm1.tidemark.write.v1.hub.vm1", "DIRECT.GET.KV_tidemark-spec.$KV.tidemark-spec.job.x", "ACCOUNT.PURGE.APP",
	}
	for _, prefix := range []string{"$JS.API", "$JS.hub.API", "$JS.spoke.API", "link.hub.js", "link.spoke.js"} {
		for _, v := range verbs {
			out = append(out, prefix+"."+v)
		}
	}
	out = append(out, bus.ForbiddenEndpoints("hub")...)
	return append(out,
		"$KV.tidemark-spec.job.evil", "$KV.tidemark-state.job.evil", "$KV.tidemark-epoch.group.vm1", "$OBJ.x.y", "$SRV.PING", "$SYS.REQ.SERVER.PING", "$NRG.V.x",
		"tidemark.evt.v1.hub.job.applied.x", "tidemark.write.v1.hub.vm1", "tidemark.dlq.v1.hub.x.y.z", "tidemark.cmd.v1.hub.failover.start.x", "tidemark.api.v1.hub.journal.halt",
		"tidemark.api.v1.spoke.journal.cursor", "tidemark.ack.v1.hub.other.vm1", "tidemark.ack.v1.spoke.hub.vm1", "link.other.copy.hub.EVT", "link.hub.copy.spoke.EVT",
		"_INBOX_capture.x", "_INBOX.x", "$JS.FC.CMD.capture.x", "$JS.FC.WRITE_vm1.frames_spoke.x", "$JS.ACK.CMD.capture.1.1.1.1.0", "_R_.abcdef.x", "evil")
}

// attack tries everything with the spoke's key, as a spoke and as a
// self-declared hub, and gives what worked.
func (f *fort) attack() (found []string) {
	before := f.streams()
	for _, hub := range []bool{false, true} {
		l := dialLeaf(f.t, f.srv.LeafAddr(), f.seed, hub)
		bustest.Eventually(f.t, "joined", func() bool { return f.srv.Joined() > 0 || l.closed() })
		l.subscribe("link.spoke.reply.>")
		l.subscribe(">")
		for i, subject := range forbidden() {
			if l.closed() {
				l = dialLeaf(f.t, f.srv.LeafAddr(), f.seed, hub)
				l.subscribe("link.spoke.reply.>")
			}
			l.publish(subject, fmt.Sprintf("link.spoke.reply.%d", i), `{"evil":"EVIL"}`)
		}
		time.Sleep(500 * time.Millisecond)
		heard, _ := l.heard()
		for _, h := range heard {
			var i int
			if _, err := fmt.Sscanf(h, "link.spoke.reply.%d", &i); err == nil {
				found = append(found, "answered: "+forbidden()[i])
			}
		}
		l.close()
	}
	for _, s := range strings.Split(f.seen.String(), "\n") {
		if strings.Contains(s, "EVIL") {
			found = append(found, "reached the site's account: "+s)
		}
	}
	if after := f.streams(); after != before {
		found = append(found, "changed streams: "+before+" to "+after)
	}
	return found
}

// Whoever holds the key of a link, and no more, calls no JetStream but the
// consumers that are made for it, writes no key, and reaches no endpoint that is
// not listed.
func TestTheKeyOfALinkAlone(t *testing.T) {
	t.Parallel()
	f := newFort(t, func(text string) string { return text })
	if found := f.attack(); len(found) > 0 {
		t.Errorf("%d ways in:\n%s", len(found), strings.Join(found, "\n"))
	}
	// What it may ask is answered: the attack's own control.
	l := dialLeaf(t, f.srv.LeafAddr(), f.seed, false)
	l.subscribe("_R_.x")
	l.publish("link.hub.js.CONSUMER.INFO.WRITE_vm1.frames_spoke", "_R_.x", "")
	bustest.Eventually(t, "answered", func() bool { heard, _ := l.heard(); return slices.Contains(heard, "_R_.x") })
}

// The answer to a request that may be made goes nowhere but back.
func TestARequestCannotChooseWhereItsAnswerGoes(t *testing.T) {
	t.Parallel()
	f := newFort(t, func(text string) string { return text })
	before := f.streams()
	l := dialLeaf(t, f.srv.LeafAddr(), f.seed, false)
	for _, reply := range []string{
		"$KV.tidemark-spec.job.evil", "$JS.API.STREAM.DELETE.EVT", "$JS.hub.API.STREAM.DELETE.EVT", "tidemark.evt.v1.hub.job.applied.x", "tidemark.write.v1.hub.vm1",
		"_INBOX_capture.x", "tidemark.ack.v1.hub.spoke.vm1", "tidemark.api.v1.hub.journal.halt", "tidemark.cmd.v1.hub.failover.start.x",
	} {
		for _, request := range []string{"CONSUMER.RESET", "CONSUMER.MSG.NEXT", "CONSUMER.INFO"} {
			f.seen.mu.Lock()
			f.seen.seen = nil
			f.seen.mu.Unlock()
			l.publish("link.hub.js."+request+".WRITE_vm1.frames_spoke", reply, `{"batch":1,"no_wait":true,"seq":1}`)
			time.Sleep(50 * time.Millisecond)
			f.seen.mu.Lock()
			for _, s := range f.seen.seen {
				// A frame on its way to the link still has its own subject.
				if strings.HasPrefix(s, reply+" ") && !strings.HasPrefix(reply, "tidemark.write.") {
					t.Errorf("%s was answered at %s", request, reply)
				}
			}
			f.seen.mu.Unlock()
		}
	}
	if after := f.streams(); after != before {
		t.Errorf("streams changed: %s to %s", before, after)
	}
}

// The control: a hole that is opened on purpose is found.
func TestAnOpenedHoleIsFound(t *testing.T) {
	t.Parallel()
	for name, hole := range map[string][2]string{
		"a JetStream request": {"CONSUMER.INFO.*.frames_spoke", "STREAM.INFO.*"},
		"an endpoint":         {subjects.RequestSubject("hub", subjects.Journal, api.JournalCursor), subjects.RequestSubject("hub", subjects.Journal, api.JournalHalt)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFort(t, func(text string) string { return strings.ReplaceAll(text, hole[0], hole[1]) })
			if found := f.attack(); len(found) == 0 {
				t.Error("not found")
			}
		})
	}
}

func TestNoKeyNoLink(t *testing.T) {
	t.Parallel()
	f := newFort(t, func(text string) string { return text })
	other, _ := bus.NewLinkKey()
	for name, seed := range map[string]string{"none": "", "another's": other} {
		l := dialLeaf(t, f.srv.LeafAddr(), seed, false)
		bustest.Eventually(t, "refused with key: "+name, l.closed)
	}
	if _, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "hub", StoreDir: t.TempDir(), LeafListen: "127.0.0.1:0", Links: []bus.Link{{Peer: "spoke"}}}); !cdp.Is(err, cdp.Invalid) {
		t.Errorf("a link without a key: %v", err)
	}
}
