package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Mark makes the end of the open frame, even an empty one, a recovery point.
// The point's number is the one the frame has unless the stream loses it before
// the journal has it: what counts is the frame with the Marker flag that
// arrives. Conflict when the group is not consistent, Full when there is no
// room in the window.
func (g *Group) Mark(requested bool) (cdp.Point, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	const op = "mark recovery point"
	name := string(g.job.Group)
	if g.job.Mode == CBT {
		return cdp.Point{}, cdp.Errorf(cdp.Conflict, op, name, "a cbt group makes a point at the end of each cycle").
			WithHint("ask for a cycle")
	}
	if g.flags()&frame.Consistent == 0 {
		err := cdp.Errorf(cdp.Conflict, op, name, "the group is %s", g.state)
		if why := g.absent(); why != nil {
			err.Cause = why
		}
		return cdp.Point{}, err.WithHint("a recovery point needs a group that is replicating")
	}
	if g.frozen.off {
		return cdp.Point{}, cdp.Errorf(cdp.Conflict, op, name, "its machine is off, and its last point is being made")
	}
	if !g.fits() {
		return cdp.Point{}, cdp.Errorf(cdp.Full, op, name, "the window is full")
	}
	return g.point(requested, g.now()), nil
}

// lastPoint makes a point of what came until now, where that is of one moment:
// it is the last such for a while, perhaps for ever if the client's host died.
// It is one of the last write's time, for of what came later nothing is known.
// Call with mu held.
func (g *Group) lastPoint() {
	if g.flags() != 0 && g.fits() {
		g.point(false, max(g.wrote, g.win.Ended()))
	}
}

// point ends the open frame as a point of that time. Call with mu held.
func (g *Group) point(requested bool, now int64) cdp.Point {
	flags := g.flags() | frame.Marker
	if requested {
		flags |= frame.Requested
	}
	g.win.End(flags, now)
	nudge(g.wake)
	return cdp.Point{Frame: g.number(g.win.Last()), Seq: g.seq, Time: time.Unix(0, now), Requested: requested}
}

// Reseed makes everything dirty: the disks are sent as a whole again.
func (g *Group) Reseed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job.Mode == Tap && !g.job.Frozen || g.state == Stopped {
		return cdp.Errorf(cdp.Conflict, "reseed", string(g.job.Group), "a %s group that is %s cannot", g.job.Mode, g.state).
			WithHint("a tap is seeded by its client: let it copy again")
	}
	g.book.Seed()
	g.virgin, g.frozen.bare = false, false
	g.frozen.pass.leaveAll() // this one does not know what it would have to leave out
	g.settle("a seed was asked for")
	return nil
}

// CopyStarted says that a tap's client begins a full copy of the disk: writes
// missed before are covered by it.
func (g *Group) CopyStarted(id cdp.DiskID) error {
	return g.tap(id, "start copy", func(d *disk) error {
		d.lost, d.synced = false, false
		return nil
	})
}

// Synced says that a tap's client has completed its copy of the disk. Conflict
// if a write was missed since CopyStarted (or since the start): copy again.
func (g *Group) Synced(id cdp.DiskID) error {
	return g.tap(id, "end copy", func(d *disk) error {
		if d.lost {
			return cdp.Errorf(cdp.Conflict, "end copy", d.Name, "writes were missed meanwhile").
				WithHint("start the copy again, and say so")
		}
		d.synced = true
		return nil
	})
}

// clientCame: a client of the disk has connected.
func (g *Group) clientCame(id cdp.DiskID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disks[id].clients++
}

// clientGone: a client of the disk went away. Without a goodbye a tap may have
// missed writes, which its client sends again before it tells Synced. A frozen
// tap may miss writes from now on whether it said goodbye or not: its filter may
// have been detached, and its VM may be started again without.
func (g *Group) clientGone(id cdp.DiskID, clean bool) {
	g.mu.Lock()
	d := g.disks[id]
	d.clients--
	frozen := g.job.Mode == Tap && g.job.Frozen
	switch {
	case frozen && clean:
		g.unlive(d, "its client said goodbye")
	case frozen:
		g.unlive(d, "its client vanished")
	}
	g.mu.Unlock()
	if clean || frozen || g.job.Mode != Tap {
		return
	}
	_, _ = g.Mark(false) // refused where history is not complete: then there is nothing to keep
	g.tap(id, "lose client", func(d *disk) error {
		d.synced = false
		return nil
	})
}

func (g *Group) tap(id cdp.DiskID, op string, f func(*disk) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job.Mode != Tap || g.job.Frozen || int(id) >= len(g.disks) || g.state == Stopped {
		return cdp.Errorf(cdp.Invalid, op, string(g.job.Group), "no tap with disk %d is running", id)
	}
	if err := f(g.disks[id]); err != nil {
		return err
	}
	g.why.tapLost, g.why.tapCopying = false, false
	for _, d := range g.disks {
		g.why.tapLost = g.why.tapLost || d.lost
		g.why.tapCopying = g.why.tapCopying || !d.synced
	}
	g.settle(op + " of " + g.disks[id].Name)
	return nil
}
