package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/frame"
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
		return cdp.Point{}, cdp.Errorf(cdp.Conflict, op, name, "the group is %s", g.state).
			WithHint("a recovery point needs a group that is replicating")
	}
	if !g.fits() {
		return cdp.Point{}, cdp.Errorf(cdp.Full, op, name, "the window is full")
	}
	return g.point(requested), nil
}

// point ends the open frame as a point. Call with mu held.
func (g *Group) point(requested bool) cdp.Point {
	flags := g.flags() | frame.Marker
	if requested {
		flags |= frame.Requested
	}
	now := g.now()
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

// clientGone: a client of the disk went away. Without a goodbye a tap may have
// missed writes, which its client sends again before it tells Synced. What came
// until now is of one moment, and the last such for a while, perhaps for ever if
// the client's host died: it is made a point.
func (g *Group) clientGone(id cdp.DiskID, clean bool) {
	if clean || g.job.Mode != Tap {
		return
	}
	_, _ = g.Mark(false) // refused where history is not complete: then there is nothing to keep
	if g.job.Frozen {
		g.unlive(id)
		return
	}
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
