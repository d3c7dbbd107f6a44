package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

const tapJob = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: web}
spec:
  source: {site: prod, capture: tap, disks: [{name: system, size: 1MiB}]}
  target: {site: dr, disks: [{name: system, path: /r/web.img}]}
  rpo: 5s
`

// tapped is a capture service with a tap, and the mirror that feeds it.
type tapped struct {
	mu     sync.Mutex
	state  event.CaptureState
	runs   bool
	copies int // that were announced, and begun
	ended  int
	told   int // that every write is reported
	dials  int
	off    int           // how many dials fail: the VM is off
	exit   chan struct{} // QEMU exits
}

func (x *tapped) with(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

func (x *tapped) Running(context.Context) (runs bool, _ error) {
	x.with(func() { runs = x.runs })
	return runs, nil
}

func (x *tapped) Start(_ context.Context, m client.MirrorTarget) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.Copy != (x.state == event.Seeding) {
		return errors.New("the copy was not announced")
	}
	x.runs = true
	x.copies++
	return nil
}

func (x *tapped) SetSpeed(context.Context, int64) error { return nil }
func (x *tapped) Wait(context.Context) error            { return nil }

func (x *tapped) Trouble(ctx context.Context) error {
	select {
	case <-x.exit:
		return errors.New("the connection to QEMU was closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *tapped) dial(context.Context, cdp.GroupID) (m client.Mirror, done func(), err error) {
	x.with(func() {
		x.dials++
		if x.off > 0 {
			x.off--
			err = cdp.Errorf(cdp.Transient, "talk to QEMU", "web.qmp", "connection refused")
		}
	})
	return x, func() {}, err
}

func (x *tapped) End(context.Context) error {
	x.with(func() { x.runs = false; x.ended++ })
	return nil
}

func (x *tapped) endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.CaptureStatus: api.Answer(func(_ context.Context, r api.GroupRequest) (any, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			if r.Target != "" && r.Target != "dr" { // as the real one does
				return api.CaptureStatusReply{}, nil
			}
			return api.CaptureStatusReply{Groups: []api.CaptureGroup{{Group: "web", Target: "dr", State: x.state,
				Exports: []string{"nbd+unix:///system?socket=/tmp/web.sock"}}}}, nil
		}),
		api.CaptureCopyStarted: api.Answer(func(context.Context, api.DiskRequest) (any, error) {
			x.with(func() { x.state = event.Seeding })
			return api.Empty{}, nil
		}),
		api.CaptureSynced: api.Answer(func(context.Context, api.DiskRequest) (any, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			if x.state == event.NeedsResync {
				return nil, cdp.Errorf(cdp.Conflict, "end copy", "system", "writes were missed during the copy")
			}
			x.state = event.Replicating
			return api.Empty{}, nil
		}),
		api.CaptureLive: api.Answer(func(context.Context, api.DiskRequest) (any, error) {
			x.with(func() { x.state, x.told = event.Replicating, x.told+1 })
			return api.Empty{}, nil
		}),
		api.CaptureUnlive: api.Answer(func(context.Context, api.DiskRequest) (any, error) { return api.Empty{}, nil }),
	}
}

// attached runs the command that attaches a tap, and waits for what it reports.
func attached(t *testing.T, x *tapped) (expect func(client.TapNote)) {
	d := newDesk(t)
	d.apply(0, tapJob)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	capture := connectAs(t, d.url, "prod", subjects.Capture)
	wg.Go(func() { _ = capture.Serve(ctx, subjects.Capture, x.endpoints()) })
	cl, err := client.Connect(t.Context(), client.Config{Site: "dr", Bus: client.SiteRef{URL: d.url}})
	if err != nil {
		t.Fatal(err)
	}
	notes := make(chan client.TapNote, 100)
	wg.Go(func() {
		for ctx.Err() == nil { // capture may still be starting
			err := cl.AttachTap(ctx, client.TapRequest{Job: "web", Disk: "system"}, x.dial, func(n client.TapNote, _ string) { notes <- n })
			if err != nil && ctx.Err() == nil && !cdp.Is(err, cdp.Transient) {
				t.Error(err)
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		cl.Close()
	})
	return func(want client.TapNote) {
		t.Helper()
		for end := time.After(time.Minute); ; {
			select {
			case n := <-notes:
				if n == want {
					return
				}
			case <-end:
				t.Fatalf("%q is never reported", want)
			}
		}
	}
}

// A tap misses writes long after its copy was complete, or its VM is off for a while. As
// long as the command that attached it runs, the copy begins again by itself, every time,
// and becomes complete.
func TestATapThatMissedWritesIsCopiedAgain(t *testing.T) {
	x := &tapped{state: event.NeedsResync, exit: make(chan struct{})}
	expect := attached(t, x)
	expect(client.TapComplete)
	for round := 1; round <= 2; round++ {
		x.with(func() { x.state = event.NeedsResync })
		expect(client.TapMissed)
		expect(client.TapComplete)
		x.with(func() {
			if x.copies != round+1 || x.ended != round || x.state != event.Replicating {
				t.Errorf("round %d: %d copies, %d mirrors ended, %s", round, x.copies, x.ended, x.state)
			}
		})
	}
	for round := 1; round <= 2; round++ {
		x.with(func() { x.state, x.runs, x.dials, x.off = event.Seeding, false, 0, 2 })
		x.exit <- struct{}{}
		expect(client.TapLost)
		expect(client.TapComplete)
		x.with(func() {
			if x.copies != round+3 || x.dials != 3 || x.state != event.Replicating {
				t.Errorf("after restart %d of the VM: %d copies, %d dials, %s", round, x.copies, x.dials, x.state)
			}
		})
	}
}

// Capture starts again so soon that the VM's connection to it outlives it, and nothing
// tells the filter. The filter, which knows its own site only, notices by asking.
func TestALiveTapTellsACaptureThatWasRestarted(t *testing.T) {
	d := newDesk(t)
	x := &tapped{state: event.NeedsResync}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	capture := connectAs(t, d.url, "prod", subjects.Capture)
	wg.Go(func() { _ = capture.Serve(ctx, subjects.Capture, x.endpoints()) })
	cl, err := client.Connect(t.Context(), client.Config{Site: "prod", Bus: client.SiteRef{URL: d.url}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	notes := make(chan client.TapNote, 100)
	dial := func(context.Context, cdp.GroupID) (client.Mirror, func(), error) { return x, func() {}, nil }
	wg.Go(func() {
		for ctx.Err() == nil { // capture may still be starting
			err := cl.AttachLiveTap(ctx, "web", "system", "", dial, func(n client.TapNote, _ string) { notes <- n })
			if err != nil && ctx.Err() == nil && !cdp.Is(err, cdp.Transient) {
				t.Error(err)
				return
			}
		}
	})
	for round := 1; round <= 3; round++ {
		select {
		case n := <-notes:
			x.with(func() {
				if n != client.TapReports || x.told != round {
					t.Errorf("round %d: %s, and capture was told %d times", round, n, x.told)
				}
				x.state = event.NeedsResync
			})
		case <-time.After(time.Minute):
			t.Fatalf("round %d: capture is not told", round)
		}
	}
}
