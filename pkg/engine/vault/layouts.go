package vault

import (
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// layouts are the disks that the group has and had.
type layouts struct {
	mu  sync.RWMutex
	all history.Layouts
}

func (l *layouts) at(s cdp.Seq) []cdp.Disk {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.all.At(s)
}

func (l *layouts) newest() []cdp.Disk {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.all.Newest()
}

// load takes over what the store holds; a group that never grew has nothing there.
func (l *layouts) load(found history.Layouts) {
	if len(found) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = found
}

// Disks are the group's disks as they are now, by ID.
func (g *Group) Disks() []cdp.Disk { return g.layouts.newest() }

// DisksAt are the group's disks as they were at write s, by ID.
func (g *Group) DisksAt(s cdp.Seq) []cdp.Disk { return g.layouts.at(s) }

// Grow makes the group's disks larger, durably, from the next write that is offered on:
// older points keep the sizes that they had. The replica must have room for them, and
// hold zeros where they are new. The goroutine that calls Offer calls it.
func (g *Group) Grow(disks []cdp.Disk) error {
	const op = "grow journal"
	g.layouts.mu.Lock()
	defer g.layouts.mu.Unlock()
	all, err := g.layouts.all.Grow(g.offered.Head+1, disks)
	if err != nil {
		return cdp.Wrap(err, op, "")
	}
	u := g.store.Begin()
	u.PutLayouts(all)
	if err := u.Commit(); err != nil {
		return g.ledger.breakUnlessFull(cdp.Wrap(err, op, ""))
	}
	g.layouts.all = all
	return nil
}

// outside is an Outside if a frame writes where the group has no disk yet.
func (g *Group) outside(f frame.Frame) error {
	disks := g.layouts.at(f.First)
	for i := range f.Records {
		if r := f.Record(i); history.Outside(disks, r.Disk, r.End()) {
			return &Outside{No: f.No, Disk: r.Disk, Offset: r.Offset, Length: r.Length}
		}
	}
	return nil
}
