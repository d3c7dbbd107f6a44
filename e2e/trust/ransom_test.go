package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/services/node"
)

const diskSize = 2 << 20

// company is two sites with a locked job, and what its disk held at each point.
type company struct {
	t    *testing.T
	dir  string
	dr   *client.Client
	rng  *rand.Rand
	disk []byte
	held map[string][]byte // by the point's tag
}

// The source site is the attacker's, with all its files, keys and passwords, and so are
// the passwords of the target's operators and of its set-up: all but the target's machine.
// He encrypts the disk, sends writes that were never made, asks for everything that
// destroys, deletes what he can reach, and rewrites the descriptions of jobs. Every locked point reads back, and a failover
// runs.
func TestRansomware(t *testing.T) {
	t.Parallel()
	c := newCompany(t, spec.Duration(time.Hour))
	c.work()
	for range 8 { // the guest's disk is encrypted
		c.write()
	}
	c.point("encrypted")
	c.falseFrames()
	c.everythingByMessage("prod", "dr")
	c.everythingByMessage("dr", "dr")
	if n := c.asOperator(); n > 0 {
		t.Errorf("%d requests that shorten history were carried out", n)
	}
	c.eraseRecords()
	c.deleteStreams("prod")
	c.rewriteJobs()

	job, err := c.dr.Objects(t.Context(), spec.KindJob, "shop")
	if err != nil || len(job) != 1 || job[0].Job.Journal.Lock != spec.Duration(time.Hour) {
		t.Fatalf("what to apply again: %+v, %v", job, err)
	}
	if _, err := c.dr.Apply(t.Context(), job, false); err != nil {
		t.Fatal(err)
	}
	for tag := range c.held {
		e, _, err := c.dr.OpenExport(t.Context(), client.ExportRequest{Job: "shop", What: api.ResolveRequest{Point: tag}, ID: "x-" + tag})
		if err != nil {
			t.Fatal(err)
		}
		c.reads(e.Disks[0].URI, tag)
		if err := c.dr.CloseExport(t.Context(), "shop", e.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	asked, err := c.dr.StartFailover(t.Context(), failoverrun.Request{Job: "shop", ID: "rescue", Mode: recovery.Production, To: recovery.ToNBD, Point: "before"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.dr.FollowFailover(t.Context(), asked, true, func(failoverrun.Run) {})
	if err != nil || run.Phase != recovery.Ready {
		t.Fatalf("%+v, %v", run, err)
	}
	open, err := c.dr.Exports(t.Context(), "shop")
	if err != nil || len(open) != 1 {
		t.Fatal(open, err)
	}
	c.reads(open[0].Disks[0].URI, "before")
}

// The control: the lock is what holds. Without it the same requests leave no point.
func TestWithoutALockTheSameAttackDestroys(t *testing.T) {
	t.Parallel()
	c := newCompany(t, 0)
	c.work()
	if n := c.asOperator(); n != 4 {
		t.Errorf("%d of 4 requests were carried out", n)
	}
	points, err := c.dr.Points(t.Context(), "shop")
	if err != nil || slices.ContainsFunc(points, func(p cdp.Point) bool { return slices.Contains(p.Tags, "before") || slices.Contains(p.Tags, "later") }) {
		t.Errorf("%+v, %v", points, err)
	}
}

// work is what there was before the attack: two points.
func (c *company) work() {
	c.t.Helper()
	for _, tag := range []string{"before", "later"} {
		c.write()
		c.point(tag)
	}
}

// newCompany starts both sites and a job whose points are locked for a time.
func newCompany(t *testing.T, lock spec.Duration) *company {
	dir, err := os.MkdirTemp("", "tm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &company{t: t, dir: dir, rng: rand.New(rand.NewPCG(9, 9)), disk: make([]byte, diskSize), held: map[string][]byte{}}
	ctx, cancel := context.WithCancel(context.Background())
	up, ready := make(chan error, 1), make(chan node.Started, 1)
	cfg := node.Config{Dir: dir, Sites: []node.SiteConfig{{Name: "prod", Listen: "127.0.0.1:0"}, {Name: "dr", Listen: "127.0.0.1:0", Leaf: "127.0.0.1:0"}},
		Links: []node.LinkConfig{{From: "prod", To: "dr"}}}
	go func() {
		up <- node.Up(ctx, cfg, nil, slog.New(slog.DiscardHandler), func(s node.Started) { ready <- s })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-up; err != nil {
			t.Error(err)
		}
	})
	s := <-ready
	if c.dr, err = client.Connect(t.Context(), client.Config{Site: "dr", Bus: s.Context.Sites["dr"]}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.dr.Close)
	source := filepath.Join(dir, "disk.img")
	if err := os.WriteFile(source, c.disk, 0o600); err != nil {
		t.Fatal(err)
	}
	job := spec.ReplicationJob{Name: "shop", RPO: spec.Duration(time.Second),
		Source:  spec.Source{Site: "prod", Capture: cdp.Inline, Disks: []spec.SourceDisk{{Name: "root", Path: source}}},
		Target:  spec.Target{Site: "dr", Disks: []spec.TargetDisk{{Name: "root", Path: filepath.Join(dir, "replica.img")}}},
		Journal: spec.Journal{Mode: cdp.Rollback, History: spec.Duration(time.Hour), Lock: lock}}
	bustest.Eventually(t, "the job", func() bool {
		_, err = c.dr.Apply(t.Context(), []spec.Object{{Job: &job}}, false)
		return err == nil || !cdp.Is(err, cdp.Transient)
	})
	if err == nil {
		err = c.dr.SetRunning(t.Context(), "shop", true, true)
	}
	if err == nil {
		err = c.dr.AwaitProtected(t.Context(), "shop", func(health.Group) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *company) dial(uri string) *nbd.Client {
	c.t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := nbd.Dial(c.t.Context(), "unix", u.Query().Get("socket"), strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// write is the guest: it writes something somewhere.
func (c *company) write() {
	c.t.Helper()
	st, err := c.dr.GroupStatus(c.t.Context(), "shop")
	if err != nil || st.Capture == nil {
		c.t.Fatal(st, err)
	}
	n := c.dial(st.Capture.Exports[0])
	defer n.Close()
	p := make([]byte, 64<<10)
	for range 8 {
		for i := range p {
			p[i] = byte(c.rng.Uint32())
		}
		off := c.rng.Int64N(diskSize/4096-16) * 4096
		if _, err := n.WriteFUA(p, off); err != nil {
			c.t.Fatal(err)
		}
		copy(c.disk[off:], p)
	}
}

func (c *company) point(tag string) {
	c.t.Helper()
	if _, err := c.dr.CreatePoint(c.t.Context(), "shop", client.NewPoint{Tags: []string{tag}, Pinned: true}); err != nil {
		c.t.Fatal(err)
	}
	c.held[tag] = bytes.Clone(c.disk)
}

// reads compares a disk with what it was at a point.
func (c *company) reads(uri, tag string) {
	c.t.Helper()
	n := c.dial(uri)
	defer n.Close()
	got := make([]byte, diskSize)
	if _, err := n.ReadAt(got, 0); err != nil || !bytes.Equal(got, c.held[tag]) {
		c.t.Fatalf("point %s does not read back: %v", tag, err)
	}
}

// as connects to a site with the password of a role, from the site's own file.
func (c *company) as(site cdp.Site, role string) (*nats.Conn, jetstream.JetStream) {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, string(site), "credentials.json"))
	var stolen bus.Credentials
	if err == nil {
		err = json.Unmarshal(raw, &stolen)
	}
	context, cerr := client.LoadContext(c.dir)
	if err != nil || cerr != nil {
		c.t.Fatal(err, cerr)
	}
	who := stolen.Users[role]
	nc, err := nats.Connect(context.Sites[site].URL, nats.UserInfo(who.User, who.Password), nats.CustomInboxPrefix(bus.InboxPrefix(role)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	return nc, js
}

// everythingByMessage sends every command and request that destroys, with what makes it
// harmful, as each role of a site.
func (c *company) everythingByMessage(from, to cdp.Site) {
	bodies := []string{`{"group":"shop","run":"r"}`, `{"group":"shop","point":"before","delete":true,"force":true}`, `{"group":"shop","point":"before","pinned":false}`,
		`{"job":"shop","dropPoints":true,"force":true}`, `{"job":"shop","point":"before","force":true}`, `{"job":"shop","point":"before","pinned":false}`}
	var all []attack
	for service, endpoints := range harm {
		for endpoint := range endpoints {
			for _, body := range bodies {
				if endpoint != api.JournalHalt { // the control of the roles has it; here it would only make him wait
					all = append(all, attack{subjects.RequestSubject(to, service, endpoint), body})
				}
			}
		}
	}
	for _, verb := range [][2]string{{subjects.Journal, "point-delete"}, {subjects.Journal, "point-pin"}, {subjects.Scheduler, "job-delete"}} {
		for _, body := range bodies {
			all = append(all, attack{subjects.CommandSubject(to, verb[0], verb[1], "shop"), body})
		}
	}
	for _, role := range subjects.Services() {
		nc, _ := c.as(from, role)
		for _, x := range all {
			if err := nc.PublishRequest(x.subject, nc.NewInbox(), []byte(x.body)); err != nil {
				c.t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// asOperator asks the target as its own operators do, and gives how many of his requests
// it carried out.
func (c *company) asOperator() (done int) {
	c.t.Helper()
	no := false
	for _, point := range []string{"before", "later"} {
		for _, r := range []api.EditPointRequest{{Pinned: &no}, {Delete: true, Force: true}} {
			r.Point = point
			switch _, err := c.dr.EditPoint(c.t.Context(), "shop", r); {
			case err == nil:
				done++
			case !cdp.Is(err, cdp.Conflict):
				c.t.Errorf("%+v: %v", r, err)
			}
		}
	}
	return done
}

// deleteStreams deletes everything that a site's server has.
func (c *company) deleteStreams(site cdp.Site) {
	_, js := c.as(site, subjects.Setup)
	names := js.StreamNames(c.t.Context())
	for name := range names.Name() {
		if err := js.DeleteStream(c.t.Context(), name); err != nil {
			c.t.Log(err) // what others recreate meanwhile
		}
	}
}

// rewriteJobs writes the target's own descriptions over the head of its services, and
// then deletes the job there.
func (c *company) rewriteJobs() {
	c.t.Helper()
	_, js := c.as("dr", subjects.Setup)
	kv, err := js.KeyValue(c.t.Context(), subjects.BucketSpec)
	if err != nil {
		c.t.Fatal(err)
	}
	was, err := kv.Get(c.t.Context(), subjects.KeyJob+".shop")
	if err == nil {
		weak := strings.NewReplacer(`"history":"1h"`, `"history":"1s","size":"1"`, `"lock":"1h"`, `"lock":"0s"`).Replace(string(was.Value()))
		_, err = kv.PutString(c.t.Context(), subjects.KeyJob+".shop", weak)
	}
	if err == nil {
		err = kv.Delete(c.t.Context(), subjects.KeyJob+".shop")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	bustest.Eventually(c.t, "the journal to know that the job is gone", func() bool {
		st, err := c.dr.Journal().Status(c.t.Context(), "shop")
		return err == nil && st.Lock != nil && st.Lock.Deleted != nil
	})
}
