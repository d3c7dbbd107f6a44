package capture

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// CopyStarted says that a tap's client begins a full copy of the disk, which
// covers all writes missed before.
func (g *Group) CopyStarted(id cdp.DiskID) error {
	return g.changeCopy(id, "start copy", func(d *tapDisk) error {
		d.lost, d.synced = false, false
		return nil
	})
}

// Synced says that a tap's client has completed its copy of the disk. Conflict
// if a write was missed since CopyStarted (or since the start): copy again.
func (g *Group) Synced(id cdp.DiskID) error {
	return g.changeCopy(id, "end copy", func(d *tapDisk) error {
		if d.lost {
			return cdp.Errorf(cdp.Conflict, "end copy", d.name, "writes were missed during the copy").
				WithHint("start the copy again, and say so")
		}
		d.synced = true
		return nil
	})
}

func (g *Group) changeCopy(id cdp.DiskID, op string, f func(*tapDisk) error) error {
	o := &g.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if g.job.Mode != cdp.Tap || g.job.Frozen || int(id) >= len(g.disks) || o.state == event.CaptureStopped {
		return cdp.Errorf(cdp.Invalid, op, string(g.job.Group), "no tap with disk %d is running", id)
	}
	if err := f(&o.taps.of[id]); err != nil {
		return err
	}
	o.update(op + " of " + g.disks[id].Name)
	return nil
}

// Live says that from now on the client of a frozen tap reports every write to
// the disk. Writes before that may have been missed, also if the disk was live:
// a pass finds out, once every disk is live. A client calls it when it has
// connected, and again whenever the group NeedsResync. It ends when the client
// goes, however it goes. Conflict while no client is connected: one that has
// nothing to report may not have noticed that its connection broke.
func (g *Group) Live(id cdp.DiskID) error {
	o := &g.order
	o.mu.Lock()
	defer o.mu.Unlock()
	const op = "take disk live"
	if g.job.Mode != cdp.Tap || !g.job.Frozen || int(id) >= len(g.disks) || o.state == event.CaptureStopped {
		return cdp.Errorf(cdp.Invalid, op, string(g.job.Group), "no frozen tap with disk %d is running", id)
	}
	d := &o.taps.of[id]
	if d.clients == 0 {
		return cdp.Errorf(cdp.Conflict, op, d.name, "its client is not connected").WithHint("connect again")
	}
	d.live = true
	o.blinded(d.name + ": its client reports every write")
	return nil
}

// Unlive says that the client of a frozen tap's disk will soon report no more
// writes. A client that can say so before it goes does: some time always passes
// between the last write it reports and the end of its connection.
func (g *Group) Unlive(id cdp.DiskID) {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	if g.job.Mode == cdp.Tap && g.job.Frozen && int(id) < len(g.disks) {
		g.order.unlive(id, "its client announced that it will go")
	}
}

// unlive: writes to the disk are missed from about now on. Nobody knows whether
// the machine goes on writing, so there are no more points until Live.
func (o *order) unlive(id cdp.DiskID, why string) {
	d := &o.taps.of[id]
	if o.state == event.CaptureStopped || !d.live {
		return
	}
	o.cutParting()
	d.live, d.away = false, fmt.Sprintf("%s, at %s", why, o.deps.Clock.Now().UTC().Format(time.TimeOnly))
	o.blinded(d.name + ": " + why)
}

// clientCame: a client of the disk has connected.
func (g *Group) clientCame(id cdp.DiskID) {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	if g.job.Mode == cdp.Tap {
		g.order.taps.of[id].clients++
	}
}

// clientGone: a client of the disk has disconnected. Without a goodbye a copying
// tap may have missed writes, which its client sends again before it calls
// Synced. A frozen tap may miss writes from now on, whether the client said
// goodbye or not: its filter may have been detached, and its VM may be started
// again without one.
func (g *Group) clientGone(id cdp.DiskID, clean bool) {
	if g.job.Mode != cdp.Tap {
		return
	}
	o := &g.order
	o.mu.Lock()
	o.taps.of[id].clients--
	switch {
	case g.job.Frozen && clean:
		o.unlive(id, "its client said goodbye")
	case g.job.Frozen:
		o.unlive(id, "its client vanished")
	}
	o.mu.Unlock()
	if clean || g.job.Frozen {
		return
	}
	_, _ = g.Mark(false) // refused where history is incomplete: then there is nothing to keep
	g.changeCopy(id, "lose client", func(d *tapDisk) error {
		d.synced = false
		return nil
	})
}
