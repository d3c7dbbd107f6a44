package node

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/capture"
)

// noVM is a VM of which no snapshot can be made, so that no cycle ends.
type noVM struct{}

func (noVM) Freeze(context.Context, cdp.GroupID, string) (capture.Frozen, error) {
	return capture.Frozen{}, cdp.Errorf(cdp.Transient, "freeze", "", "not now")
}

func (noVM) Changed(context.Context, cdp.GroupID, string, cdp.DiskID, string, func(off, n int64)) error {
	return nil
}

func (noVM) Thaw(context.Context, cdp.GroupID, string) error { return nil }

// A planned failover of a cbt VM is undone while it waits for the last point,
// which is made all the same. Hours later there is another: it goes to a point of
// its own, and the one that was undone has none any more.
func TestARunGoesToALastPointOfItsOwn(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	w := &captureWiring{e: &env{clock: clock.System, site: "prod"}, conn: s.Connect("prod", subjects.Capture), ctx: ctx, drains: map[cdp.GroupID]*drain{},
		jobs: map[cdp.GroupID]spec.ReplicationJob{"shop-web01": {Source: spec.Source{VM: "5000", Capture: cdp.CBT}}}}
	var err error
	w.svc, err = capture.New(capture.Config{StateDir: dir, WindowDir: dir}, capture.Deps{Stream: w.stream, Epochs: w, Journal: w, Snapshots: noVM{}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- w.svc.Run(ctx) }()
	defer func() { cancel(); <-done; w.draining.Wait() }()
	err = w.svc.Apply(ctx, capture.Job{Group: "shop-web01", Mode: capture.CBT, Every: time.Hour, Disks: []capture.JobDisk{{Disk: cdp.Disk{Name: "scsi0-0", Size: 1 << 20}}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(run string) api.DrainReply {
		t.Helper()
		r, err := w.drain(ctx, api.DrainRequest{Group: "shop-web01", Run: run})
		if err != nil {
			t.Fatal(err)
		}
		return r.(api.DrainReply)
	}
	ends := func(seq cdp.Seq) {
		w.mu.Lock()
		defer w.mu.Unlock()
		d := w.drains["shop-web01"]
		d.made = make(chan drained, 2) // the cycle itself never ends, until the test does
		d.made <- drained{Point: cdp.Point{Frame: 7, Seq: seq}}
	}
	if r := ask("first"); !r.Pending {
		t.Fatal(r)
	}
	ends(100)
	if r := ask("second"); !r.Pending {
		t.Fatalf("the last write is said to be %d, of the first run's cycle", r.Seq)
	}
	ends(200)
	if r := ask("second"); r.Pending || r.Seq != 200 {
		t.Fatal(r)
	}
}
