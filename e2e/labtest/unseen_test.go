package labtest

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/lab/stage"
)

// Somebody takes the filter off the running VM, as a change of its storage policy
// does; then the VM is powered off, on again, and off for a planned failover. That
// nobody sees is reported and put right, no point lacks what its guest had
// committed by its time, and the planned failover loses nothing. Then the VM goes home.
func TestWhatIsNotSeenIsNoPoint(t *testing.T) {
	w := newWorld(t)
	w.protect(stage.Protection{Capture: "tap"}, 2, 40)
	s := &site{T: t, ctx: w.ctx, dir: w.Dir(stage.Prod)}
	s.dial(w.SiteFile(stage.Prod))
	soon, cancel := context.WithTimeout(w.ctx, 15*time.Minute)
	defer cancel()
	until := func(what, state string, so bool) {
		t.Helper()
		began := time.Now()
		st, err := w.Until(soon, what, func(st stage.Standing) bool { return (st.State == state) == so })
		w.must(err)
		w.Logf("%s after %.1fs: %s, %v", what, time.Since(began).Seconds(), st.State, st.Problems)
	}
	until("it is protected", "protected", true)

	v := s.vm(stage.VM)
	var keys []int32
	filter := ""
	for _, d := range v.Hardware.Disks {
		keys = append(keys, d.Key)
		filter = d.Filters[0]
	}
	w.must(s.c.DetachFilter(w.ctx, v.Ref, filter, keys))
	until("its filter is off", "protected", false)
	until("its filter is back", "protected", true)
	out, err := w.Tidemark(w.ctx, "events", "vcenter.alarm")
	w.must(err)
	w.Logf("alarms:\n%s", out)
	w.must(w.console.WaitAcks(soon, len(w.console.Acks())+20))

	w.must(s.c.PowerOff(w.ctx, v.Ref))
	until("it is off", "powered off", true)
	points, err := w.Points(w.ctx)
	w.must(err)
	last := points[len(points)-1]
	w.failover(last, true)
	w.cleanup()
	if points, err = w.Points(w.ctx); err != nil || points[len(points)-1].ID() != last.ID() {
		t.Errorf("a point of a VM that is off: %+v after %+v (%v)", points[len(points)-1], last, err)
	}

	w.must(w.console.Close())
	w.must(s.c.PowerOn(w.ctx, v.Ref))
	w.console = guest.ReadConsole(w.ctx, w.Serial(stage.Prod, stage.VM))
	w.must(w.console.WaitAcks(soon, 20))
	until("it is seen again", "protected", true)
	w.must(w.console.WaitAcks(soon, len(w.console.Acks())+20))
	w.must(s.c.PowerOff(w.ctx, v.Ref))
	until("it is off once more", "powered off", true)
	before := w.serials()
	_, err = w.Tidemark(w.ctx, "failover", w.Group(), "--mode", "production", "--to", "vm", "--planned")
	w.must(err)
	console := w.booted(before)
	defer console.Close()
	l, err := console.Ledger(soon)
	w.must(err)
	w.must(l.Verify(w.console.LastAck()))
	w.Logf("the planned failover has %d rows; %d were acknowledged", l.Max, w.console.LastAck())
	w.home(console)
}
