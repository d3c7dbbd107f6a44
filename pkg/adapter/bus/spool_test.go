package bus_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/spoolshare"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A site takes as many groups as its spool has room for: each that comes makes
// the shares of the others smaller, each that goes makes them larger, and the one
// too many is refused without harm to the rest.
func TestTheGroupsOfASiteShareItsSpool(t *testing.T) {
	const budget = 20 * spoolshare.Least
	sites := bustest.Start(t, bustest.Secured, func(prod, _ *bus.ServerConfig) { prod.Spool = budget })
	conn := sites.Connect("prod", subjects.Capture)
	s := bus.NewSpool(conn, budget)
	for i := range 20 {
		sink := frames(t, s, cdp.GroupID(fmt.Sprintf("vm%d", i)))
		if i == 0 {
			publish(t, sink, 3)
		}
	}
	checkSizes(t, sites, 20, spoolshare.Least)
	if _, err := s.Frames(t.Context(), "one-more", "dr"); !cdp.Is(err, cdp.Full) || cdp.HintOf(err) == "" {
		t.Fatalf("one more than there is room for: %v", err)
	}
	for i := 1; i < 20; i++ {
		if err := s.Delete(t.Context(), cdp.GroupID(fmt.Sprintf("vm%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	checkSizes(t, sites, 1, spoolshare.Budget(budget).Share(1))

	// A process that starts anew finds what is there, and gives it its share.
	s = bus.NewSpool(conn, 2*spoolshare.Least)
	frames(t, s, "vm-new")
	checkSizes(t, sites, 2, spoolshare.Least)
	if use := s.Use(); use.Groups != 2 || use.Share != spoolshare.Least || use.Room != 2 {
		t.Fatalf("use %+v", use)
	}
}

// frames opens the stream of a group until the test ends.
func frames(t *testing.T, s *bus.Spool, group cdp.GroupID) *bus.FrameSink {
	t.Helper()
	sink, err := s.Frames(t.Context(), group, "dr")
	if err != nil {
		t.Fatalf("group %s: %v", group, err)
	}
	t.Cleanup(func() { sink.Close() })
	return sink
}

// publish sends n frames of one epoch and waits until the stream has them.
func publish(t *testing.T, sink *bus.FrameSink, n int) {
	t.Helper()
	for no := 1; no <= n; no++ {
		if err := sink.Publish(spooltest.Make(cdp.FrameNo(no), 1, 256<<10)); err != nil {
			t.Fatal(err)
		}
		if r := <-sink.Results(); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// checkSizes checks the frame streams of prod, and that vm0 kept its frames.
func checkSizes(t *testing.T, sites *bustest.Sites, n int, size int64) {
	t.Helper()
	js := bus.Streams(sites.Connect("prod", subjects.Setup))
	all := js.ListStreams(t.Context(), jetstream.WithStreamListSubject(subjects.WriteSubject("prod", "*")))
	seen := 0
	for info := range all.Info() {
		seen++
		if info.Config.MaxBytes != size {
			t.Errorf("%s may hold %d bytes, want %d", info.Config.Name, info.Config.MaxBytes, size)
		}
		if info.Config.Name == subjects.FrameStream("vm0") && info.State.Msgs != 3 {
			t.Errorf("%s has %d frames of 3", info.Config.Name, info.State.Msgs)
		}
	}
	if err := all.Err(); err != nil || seen != n {
		t.Fatalf("%d streams, want %d; %v", seen, n, err)
	}
}

// A stream that holds more than its new share keeps every frame, and takes new
// ones again once it has drained.
func TestAShareThatShrinksLosesNoFrame(t *testing.T) {
	const budget = 2 * spoolshare.Least
	sites := bustest.Start(t, bustest.Secured)
	s := bus.NewSpool(sites.Connect("prod", subjects.Capture), budget)
	sink := frames(t, s, "vm0")
	const n = 70 // of 256 KiB each: more than the least share, less than two
	publish(t, sink, n)
	frames(t, s, "vm1")
	if err := sink.Publish(spooltest.Make(n+1, 1, 64<<10)); err != nil {
		t.Fatal(err)
	}
	if r := <-sink.Results(); !cdp.Is(r.Err, cdp.Full) {
		t.Fatalf("a frame beyond the share: %v", r.Err)
	}
	str, err := bus.Streams(sites.Connect("prod", subjects.Setup)).Stream(t.Context(), subjects.FrameStream("vm0"))
	if err != nil {
		t.Fatal(err)
	}
	if have := str.CachedInfo().State; have.FirstSeq != 1 || have.LastSeq != n {
		t.Fatalf("the stream has the frames %d..%d", have.FirstSeq, have.LastSeq)
	}
}
