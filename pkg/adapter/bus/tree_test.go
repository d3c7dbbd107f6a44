package bus_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// hubAndSpokes are three sites: both spokes dial the hub.
func hubAndSpokes(t *testing.T) *bustest.Tree {
	return bustest.StartTree(t, []bustest.Edge{{From: "spoke1", To: "hub"}, {From: "spoke2", To: "hub"}}, bustest.Private)
}

// Groups of both spokes, with one name, and one of the hub go to their targets
// at the same time, over links that are cut meanwhile.
func TestFramesInBothDirectionsOverALink(t *testing.T) {
	t.Parallel()
	tree := hubAndSpokes(t)
	const last = 300
	routes := []struct {
		from, to cdp.Site
		group    cdp.GroupID
		epoch    cdp.Epoch
	}{{"spoke1", "hub", "vm1", 1}, {"spoke2", "hub", "vm1", 2}, {"hub", "spoke1", "vm2", 3}, {"hub", "spoke2", "vm3", 4}}
	arrived := make(chan string, len(routes))
	var publishers sync.WaitGroup
	for _, r := range routes {
		sink, err := bus.OpenFrames(t.Context(), tree.Connect(r.from, subjects.Capture), r.group, r.to, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sink.Close() })
		source, err := bus.OpenSource(tree.Connect(r.to, subjects.Journal), r.from, r.group)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			next := cdp.FrameNo(1)
			err := source.Pull(t.Context(), 1, nil, func(m spool.Message) error {
				h, err := frame.ParseHeader(m.Data)
				if err != nil || m.No != next || h.No != next || h.Epoch != r.epoch {
					return cdp.Errorf(cdp.Corrupt, "take", string(r.group), "frame %d of epoch %d, want %d of %d: %v", h.No, h.Epoch, next, r.epoch, err)
				}
				if next++; next > last {
					return errDone
				}
				return nil
			})
			arrived <- string(r.from) + " to " + string(r.to) + ": " + err.Error()
		}()
		publishers.Go(func() {
			for no := cdp.FrameNo(1); no <= last; no++ {
				if err := sink.Publish(spooltest.Make(no, r.epoch, 4<<10)); err != nil {
					t.Error(err)
				}
				if res := <-sink.Results(); res.Err != nil {
					t.Error(res)
				}
				if no == last/2 {
					tree.Link(bustest.Edge{From: "spoke1", To: "hub"}).Cut()
					tree.Link(bustest.Edge{From: "spoke1", To: "hub"}).Heal()
				}
			}
		})
	}
	defer publishers.Wait() // an answer may come after its frame arrived
	for range routes {
		if s := <-arrived; s[len(s)-4:] != "done" {
			t.Error(s)
		}
	}
}

// The same service runs at all sites: each request is answered by the site that
// was asked. A spoke reaches the hub and is reached by it, and never the other
// spoke.
func TestSpokesDoNotReachEachOther(t *testing.T) {
	t.Parallel()
	tree := hubAndSpokes(t)
	sites := []cdp.Site{"hub", "spoke1", "spoke2"}
	conns := map[cdp.Site]*bus.Conn{}
	for _, site := range sites {
		conn := tree.Connect(site, subjects.VCenter)
		conns[site] = conn
		background(t, func(ctx context.Context) error {
			return conn.Serve(ctx, subjects.VCenter, map[string]api.Endpoint{
				api.VCenterMembers: func(context.Context, []byte) (any, error) { return site, nil },
			})
		})
	}
	ask := func(from, to cdp.Site) (who cdp.Site, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return who, conns[from].Request(ctx, to, subjects.VCenter, api.VCenterMembers, nil, &who)
	}
	for _, x := range [][2]cdp.Site{{"hub", "spoke1"}, {"hub", "spoke2"}, {"spoke1", "hub"}, {"spoke2", "hub"}} {
		bustest.Eventually(t, string(x[0]+" asks "+x[1]), func() bool { who, err := ask(x[0], x[1]); return err == nil && who == x[1] })
	}
	for _, x := range [][2]cdp.Site{{"spoke1", "spoke2"}, {"spoke2", "spoke1"}} {
		if who, err := ask(x[0], x[1]); !cdp.Is(err, cdp.Transient) {
			t.Errorf("%s asked %s and was answered by %s: %v", x[0], x[1], who, err)
		}
	}
	// Even who may publish everything at one spoke is not heard at the other.
	var seen recorder
	spy := admin(t, tree, "spoke2")
	if _, err := spy.Subscribe(">", func(m *nats.Msg) { seen.add(m.Subject + " " + string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	rogue := admin(t, tree, "spoke1")
	for _, s := range []string{
		"tidemark.ack.v1.spoke2.hub.vm1", "tidemark.ack.v1.spoke2.spoke1.vm1", "tidemark.api.v1.spoke2.vcenter.members", "tidemark.cmd.v1.spoke2.capture.mark.vm1",
		"link.spoke2.js.CONSUMER.RESET.WRITE_vm1.frames_spoke1", "link.hub.copy.spoke2.EVT", "link.spoke1.copy.spoke2.EVT", "tidemark.evt.v1.spoke2.job.x.y",
	} {
		if err := rogue.PublishRequest(s, "x.reply", []byte("EVIL")); err != nil {
			t.Fatal(err)
		}
	}
	if err := rogue.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if seen.has("EVIL") {
		t.Errorf("spoke2 heard spoke1:\n%s", &seen)
	}
}

func admin(t *testing.T, tree *bustest.Tree, site cdp.Site) *nats.Conn {
	t.Helper()
	u := tree.Credential(site, subjects.Setup)
	nc, err := nats.Connect(tree.Server(site).ClientURL(), nats.UserInfo(u.User, u.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// The hub follows both spokes, and they follow the hub but not each other.
func TestCopiesInATree(t *testing.T) {
	t.Parallel()
	tree := hubAndSpokes(t)
	conns := map[cdp.Site]*bus.Conn{}
	for _, site := range []cdp.Site{"hub", "spoke1", "spoke2"} {
		conns[site] = tree.Connect(site, subjects.Scheduler)
		if err := conns[site].Emit(t.Context(), event.JobApplied{Job: "of-" + string(site), Revision: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range [][2]cdp.Site{{"hub", "spoke1"}, {"hub", "spoke2"}, {"spoke1", "hub"}, {"spoke2", "hub"}} {
		var seen recorder
		background(t, seen.watch(conns[x[0]], bus.EventFilter{Site: x[1]}))
		bustest.Eventually(t, string(x[0]+" follows "+x[1]), func() bool { return seen.has(`"of-` + string(x[1]) + `"`) })
		if len(seen.seen) != 1 {
			t.Errorf("%s has of %s: %s", x[0], x[1], &seen)
		}
	}
}
