package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/dirty"
)

// passes seeds and resyncs a frozen group, and makes the cycles of a cbt group:
// one pass over a snapshot after the other, as they are due. It is the only one
// that clears dirty bits of a frozen group.
type passes struct {
	order  *order
	cycles cycles

	// Of its one goroutine.
	chain   chain
	count   int
	alarmed string // the last alarm since a pass went well
}

// open takes over what an earlier process knew. The group is not running yet.
func (p *passes) open(found dirty.Found) error {
	o := p.order
	path := chainPath(o.cfg, o.job.Group)
	p.chain = loadChain(path, o.job.Disks)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		// The file also says to Service.Purge that there may be snapshots.
		if err := p.chain.save(path); err != nil {
			return err
		}
	}
	o.unsure = found <= dirty.Rebooted || len(p.chain.Disks) == 0 || o.book.Bytes() >= o.book.Total()
	if o.job.Mode == cdp.CBT && !p.chain.At.IsZero() {
		o.at = p.chain.At.UnixNano()
	}
	return nil
}

// run makes a pass whenever one is due, while the group is attached, and removes
// what it made before anything else.
func (p *passes) run(ctx context.Context) {
	o := p.order
	thawed := false // nothing of an earlier pass is left
	pauses := clock.Backoff{Min: o.cfg.PassRetryMin, Max: o.cfg.PassRetryMax}
	var notBefore time.Time
	failed := func() { notBefore = o.deps.Clock.Now().Add(pauses.Next()) }
	for ctx.Err() == nil {
		now := o.deps.Clock.Now()
		wait, ready := p.due(now)
		switch {
		case !ready:
			p.rest(ctx, time.Minute)
		case now.Before(notBefore):
			p.rest(ctx, notBefore.Sub(now))
		case !thawed:
			if thawed = p.thaw(ctx); !thawed {
				failed()
			}
		case wait > 0:
			p.rest(ctx, wait)
		default:
			err := p.one(ctx)
			thawed = p.thaw(ctx)
			switch {
			case ctx.Err() != nil:
			case err == nil && thawed:
				pauses.Reset()
				p.alarmed = ""
				p.ended(nil)
			default:
				if err != nil {
					p.ended(err)
				}
				failed()
			}
		}
	}
	if _, ready := p.due(time.Time{}); ready && !thawed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.cfg.ThawTimeout)
		defer cancel()
		p.thaw(ctx)
	}
}

// due is how long until the next pass. ready is false while there can be none:
// without a place in the stream nothing can be sent, and a fenced capturer
// leaves the snapshots to its successor.
func (p *passes) due(now time.Time) (wait time.Duration, ready bool) {
	o := p.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.why.attached || o.why.fenced {
		return 0, false
	}
	wait = time.Minute // what changes that nudges; this is for nothing forgotten
	switch {
	case o.job.Mode == cdp.Tap:
		if copies(o.state) {
			wait = 0
		}
	case !accepts(o.state):
	case o.book.Count() > 0:
		wait = 0
	default:
		wait = p.cycles.wait(now)
	}
	return wait, true
}

// rest waits until something may have changed.
func (p *passes) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-p.order.room:
	case <-clock.After(p.order.deps.Clock, d):
	}
}

// thaw removes what passes left.
func (p *passes) thaw(ctx context.Context) bool {
	o := p.order
	err := o.deps.Snapshots.Thaw(ctx, o.job.machine(), "")
	if err == nil || cdp.Is(err, cdp.NotFound) { // no VM, no snapshot
		return true
	}
	if ctx.Err() == context.Canceled {
		return false // the group is being stopped, and tries once more
	}
	p.alarm(AlarmLeft, "a snapshot made for replication could not be removed: "+err.Error())
	p.ended(cdp.Wrap(err, "thaw", string(o.job.Group)))
	return false
}

// ended keeps how the last pass ended, for Status.
func (p *passes) ended(err error) {
	o := p.order
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed, o.trouble = err, err
}

// alarm raises what is new since the last pass that went well.
func (p *passes) alarm(kind AlarmKind, text string) {
	if p.alarmed != kind+text {
		p.alarmed = kind + text
		p.order.notes.add(alarm{kind, text})
	}
}

// unreadable raises that a snapshot cannot be made or read.
func (p *passes) unreadable(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		p.alarm(AlarmFreeze, "the disks cannot be read as of one moment: "+err.Error())
	}
	return err
}

// one makes a snapshot and sends what is dirty from it.
func (p *passes) one(ctx context.Context) (err error) {
	o := p.order
	x, req := p.arm()
	defer p.disarm(x)
	if o.job.Mode == cdp.CBT && !req.seed {
		defer p.watchCycle()()
	}
	defer func() {
		if err != nil {
			p.giveBack(req)
		}
	}()
	snap, err := o.deps.Snapshots.Freeze(ctx, o.job.machine(), x.name)
	if err == nil {
		defer x.close()
		err = x.openDisks(snap, o.disks, o.deps.Disk)
	}
	if err != nil {
		return p.unreadable(ctx, cdp.Wrap(err, "freeze", string(o.job.Group)))
	}
	if err := p.resolve(ctx, x, snap); err != nil {
		return err
	}
	var point cdp.Point
	for done := false; !done; {
		if err := p.sweep(ctx, x); err != nil {
			return err
		}
		if o.job.Mode == cdp.Tap {
			done, err = true, p.endPass(ctx, x)
		} else {
			point, done, err = p.endCycle(ctx, x, &req)
		}
		if err != nil {
			return err
		}
	}
	for _, w := range req.waiters {
		w <- point
	}
	return nil
}

// arm begins a pass: from here on writes are noted.
func (p *passes) arm() (x *pass, req request) {
	o := p.order
	o.mu.Lock()
	defer o.mu.Unlock()
	p.count++
	now := o.deps.Clock.Now()
	x = &pass{name: fmt.Sprintf("%s-%d", now.UTC().Format("20060102-150405"), p.count), began: now,
		blind: o.taps.blind, blinds: o.taps.blinds, last: o.newestOrdinal(), swept: make([]int64, len(o.disks))}
	o.pass = x
	if o.job.Mode == cdp.Tap {
		x.touched, x.later = newTouched(o.cfg.Touched), dirty.NewRegions(o.book.Disks())
		x.sending = true
		return x, req
	}
	req = p.cycles.begin(now, o.job.Every)
	req.seed = o.book.Seeding()
	return x, req
}

// disarm ends a pass, whatever its progress: what it did not send is dirty.
func (p *passes) disarm(x *pass) {
	o := p.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pass == x {
		o.pass = nil
		o.update("a pass ended before everything was sent")
	}
}
