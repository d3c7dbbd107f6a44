package capture

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// noVM is a VM of which no snapshot can be made, so that no cycle ends.
type noVM struct{}

func (noVM) Freeze(context.Context, Machine, string) (Frozen, error) {
	return Frozen{}, cdp.Errorf(cdp.Transient, "freeze", "", "not now")
}

func (noVM) Changed(context.Context, Machine, string, cdp.DiskID, string, func(off, n int64)) error {
	return nil
}

func (noVM) Thaw(context.Context, Machine, string) error { return nil }

// A planned failover of a cbt VM is undone while it waits for the last point,
// which is made all the same. Hours later there is another: it goes to a point of
// its own, and not to that of the run that was undone.
func TestARunGoesToALastPointOfItsOwn(t *testing.T) {
	s, _ := newService(t, func(d *Deps) { d.Snapshots = noVM{} })
	ctx := runService(t, s)
	s.jobs.set("shop-web01", spec.ReplicationJob{Source: spec.Source{VM: "5000", Capture: cdp.CBT}})
	err := s.groups.Apply(ctx, Job{Group: "shop-web01", Mode: cdp.CBT, Every: time.Hour, Disks: []JobDisk{{Disk: cdp.Disk{Name: "scsi0-0", Size: 1 << 20}}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(run string) api.DrainReply {
		t.Helper()
		r, err := s.answerDrain(ctx, api.DrainRequest{Group: "shop-web01", Run: run})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ends := func(seq cdp.Seq) {
		s.lastPoints.mu.Lock()
		defer s.lastPoints.mu.Unlock()
		d := s.lastPoints.of["shop-web01"]
		d.made = make(chan madePoint, 2) // the cycle itself never ends, until the test does
		d.made <- madePoint{Point: cdp.Point{Frame: 7, Seq: seq}}
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

// slowMachines answers when it is asked no more.
type slowMachines struct {
	asked chan struct{}
	ended chan struct{}
}

func (m slowMachines) Power(ctx context.Context, _ string) (inventory.Power, error) {
	close(m.asked)
	<-ctx.Done()
	close(m.ended)
	return "", ctx.Err()
}

// The service ends while a last point asks about its machine: the question ends
// at once, however long its groups take to drain.
func TestALastPointEndsWithTheService(t *testing.T) {
	m := slowMachines{make(chan struct{}), make(chan struct{})}
	s, _ := newService(t, func(d *Deps) { d.Snapshots, d.Machines = noVM{}, m })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.jobs.set("shop-web01", spec.ReplicationJob{Source: spec.Source{VM: "5000", Capture: cdp.Tap}})
	err := s.groups.Apply(ctx, Job{Group: "shop-web01", Mode: cdp.Tap, Frozen: true, Disks: []JobDisk{{Disk: cdp.Disk{Name: "scsi0-0", Size: 1 << 20}}}})
	if err != nil {
		t.Fatal(err)
	}
	go s.answerDrain(ctx, api.DrainRequest{Group: "shop-web01", Run: "first"})
	<-m.asked
	r := s.groups.groups["shop-web01"]
	r.mu.Lock() // its group drains
	cancel()
	select {
	case <-m.ended:
	case <-time.After(5 * time.Second):
		t.Error("the machine is still asked about")
	}
	r.mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
