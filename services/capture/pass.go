package capture

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/dirty"
)

// passes is the loop of a frozen group: while the group is attached, it makes a
// pass whenever one is due, and removes what it made before anything else.
func (g *Group) passes(ctx context.Context) {
	thawed := false // nothing of an earlier pass is left
	pauses := clock.Backoff{Min: g.cfg.PassRetryMin, Max: g.cfg.PassRetryMax}
	var notBefore time.Time
	failed := func() { notBefore = g.deps.Clock.Now().Add(pauses.Next()) }
	for ctx.Err() == nil {
		now := g.deps.Clock.Now()
		wait, ready := g.due(now)
		switch {
		case !ready:
			g.rest(ctx, time.Minute)
		case now.Before(notBefore):
			g.rest(ctx, notBefore.Sub(now))
		case !thawed:
			if thawed = g.thaw(ctx); !thawed {
				failed()
			}
		case wait > 0:
			g.rest(ctx, wait)
		default:
			err := g.onePass(ctx)
			thawed = g.thaw(ctx)
			switch {
			case ctx.Err() != nil:
			case err == nil && thawed:
				pauses.Reset()
				g.frozen.alarmed = ""
				g.trouble(nil)
				g.passEnded(nil)
			default:
				if err != nil {
					g.trouble(err)
					g.passEnded(err)
				}
				failed()
			}
		}
	}
	if _, ready := g.due(time.Time{}); ready && !thawed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.ThawTimeout)
		defer cancel()
		g.thaw(ctx)
	}
}

// due is how long until the next pass; ready is false while there can be none:
// without a place in the stream nothing can be sent, and one who was fenced
// leaves the snapshots to its successor.
func (g *Group) due(now time.Time) (wait time.Duration, ready bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &g.frozen
	if !g.why.attached || g.why.fenced {
		return 0, false
	}
	wait = time.Minute // what changes that is told; this is for nothing forgotten
	switch {
	case g.job.Mode == Tap:
		if g.state.copies() {
			wait = 0
		}
	case !g.state.accepts():
	case f.owed || f.asked || len(f.waiters) > 0 || g.book.Count() > 0:
		wait = 0
	default:
		wait = max(0, f.next.Sub(now))
	}
	return wait, true
}

// rest waits until something may have changed.
func (g *Group) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-g.room:
	case <-clock.After(g.deps.Clock, d):
	}
}

// thaw removes what passes left.
func (g *Group) thaw(ctx context.Context) bool {
	err := g.deps.Snapshots.Thaw(ctx, g.job.Group, "")
	if err == nil || cdp.Is(err, cdp.NotFound) { // no VM, no snapshot
		return true
	}
	if ctx.Err() == context.Canceled {
		return false // the group is being stopped, and tries once more
	}
	g.alarm(AlarmLeft, "a snapshot made for replication could not be removed: "+err.Error())
	err = cdp.Wrap(err, "thaw", string(g.job.Group))
	g.trouble(err)
	g.passEnded(err)
	return false
}

// passEnded keeps how the last pass ended, for Status.
func (g *Group) passEnded(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen.failed = err
}

// alarm tells what is new since the last pass that went well.
func (g *Group) alarm(kind AlarmKind, text string) {
	if f := &g.frozen; f.alarmed != kind+text {
		f.alarmed = kind + text
		g.tell(alarm{kind, text})
	}
}

// arm begins a pass: from here on writes are noted.
func (g *Group) arm() (p *pass, waiters []chan<- cdp.Point, requested, seed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &g.frozen
	f.passes++
	now := g.deps.Clock.Now()
	p = &pass{name: fmt.Sprintf("%s-%d", now.UTC().Format("20060102-150405"), f.passes), began: now,
		blind: f.blind, blinds: f.blinds, behind: g.win.Last(), swept: make([]int64, len(g.disks))}
	if open, n, _ := g.win.Open(); open && n == 0 {
		p.behind--
	}
	f.pass = p
	if g.job.Mode == Tap {
		p.touched, p.later = newTouched(g.cfg.Touched), dirty.NewRegions(g.book.Disks())
		p.sending = true
		return p, nil, false, false
	}
	if !f.owed {
		f.begun, f.late = now, false
	}
	waiters, requested = f.waiters, f.asked || len(f.waiters) > 0
	f.waiters, f.asked, f.owed, f.next = nil, false, true, now.Add(g.job.Every)
	return p, waiters, requested, g.book.Seeding()
}

// disarm ends a pass, wherever it stands: what it did not send is dirty.
func (g *Group) disarm(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen.pass == p {
		g.frozen.pass = nil
		g.settle("a pass ended before everything was sent")
	}
}

// onePass makes a snapshot and sends what is dirty from it.
func (g *Group) onePass(ctx context.Context) (err error) {
	p, waiters, requested, seed := g.arm()
	defer g.disarm(p)
	if g.job.Mode == CBT && !seed {
		defer g.watchCycle()()
	}
	defer func() {
		if err != nil { // whoever asked waits for the next one
			g.mu.Lock()
			g.frozen.asked = g.frozen.asked || requested
			g.frozen.waiters = append(waiters, g.frozen.waiters...)
			g.mu.Unlock()
		}
	}()
	snap, err := g.deps.Snapshots.Freeze(ctx, g.job.Group, p.name)
	if err == nil {
		defer p.close()
		err = g.openSnapshot(p, snap)
	}
	if err != nil {
		return g.unreadable(ctx, cdp.Wrap(err, "freeze", string(g.job.Group)))
	}
	if err := g.resolve(ctx, p, snap); err != nil {
		return err
	}
	var point cdp.Point
	for done := false; !done; {
		if err := g.sweep(ctx, p); err != nil {
			return err
		}
		if g.job.Mode == Tap {
			done, err = true, g.endPass(ctx, p)
		} else {
			point, done, err = g.endCycle(ctx, p, requested)
		}
		if err != nil {
			return err
		}
	}
	for _, w := range waiters {
		w <- point
	}
	return nil
}

// watchCycle tells, while it runs, of a cycle that is not complete when the next
// one is due: once, however often it is tried. What it returns ends the watch.
func (g *Group) watchCycle() (end func()) {
	f := &g.frozen
	g.mu.Lock()
	left := f.begun.Add(g.job.Every).Sub(g.deps.Clock.Now())
	g.mu.Unlock()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
			return
		case <-clock.After(g.deps.Clock, left):
		}
		g.mu.Lock()
		late := f.owed && !f.late
		f.late = f.late || late
		begun := f.begun
		g.mu.Unlock()
		if late {
			g.tell(alarm{AlarmOverrun, fmt.Sprintf("the cycle of %s is not complete, and one is due every %v", begun.UTC().Format(time.RFC3339), g.job.Every)})
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// unreadable tells that a snapshot cannot be made or read.
func (g *Group) unreadable(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		g.alarm(AlarmFreeze, "the disks cannot be read as of a moment: "+err.Error())
	}
	return err
}

func (g *Group) openSnapshot(p *pass, s Frozen) error {
	const op = "open frozen disk"
	if len(s.Disks) != len(g.disks) {
		return cdp.Errorf(cdp.Conflict, op, string(g.job.Group), "the snapshot has %d disks, the job %d", len(s.Disks), len(g.disks))
	}
	for i, d := range s.Disks {
		dev, err := g.deps.Disk(d.Path, true)
		if err != nil {
			return cdp.Wrap(err, op, d.Path)
		}
		p.devs = append(p.devs, dev)
		if dev.Size() < g.disks[i].Size { // one that was extended is read up to the job's size
			return cdp.Errorf(cdp.Conflict, op, d.Path, "it has %d bytes, the job says %d", dev.Size(), g.disks[i].Size)
		}
	}
	p.at = s.At
	if p.at.IsZero() {
		p.at = p.began
	}
	return nil
}

func (p *pass) close() {
	for _, d := range p.devs {
		d.Close()
	}
}
