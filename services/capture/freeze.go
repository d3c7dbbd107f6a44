package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// freezing is what a group has whose disks are read from snapshots. Group.mu
// guards what does not say otherwise.
type freezing struct {
	pass *pass // nil: none is armed
	// blind: writes of a tap were missed, nobody knows where; blinds counts how
	// often that began.
	blind  bool
	blinds uint64
	losses uint64 // how often frames were lost
	off    bool   // the machine is: see Settle
	// bare: the map is fresh and the journal empty, so what is not allocated is
	// right already. unsure: everything is dirty because nothing is known.
	bare, unsure bool
	at           int64 // of a cbt group: the time of its frames, ns since 1970
	verified     int64 // of the last pass with something to send: bytes that the target had

	// Of a cbt group.
	asked   bool      // a cycle was asked for
	owed    bool      // a cycle was begun and is not complete
	begun   time.Time // when the first try of what is owed was
	late    bool      // that it is not complete in time was told
	next    time.Time
	waiters []chan<- cdp.Point

	failed error // why the last pass did not go well; nil: it did, or none ended yet

	// Of the goroutine of passes alone.
	chain   chain
	passes  int
	alarmed string
}

// pass is one snapshot and what is read from it.
//
// From the moment it is armed, before the snapshot is made, every write of a tap
// gets its place in the order, in dirty regions as well, and is noted as
// touched: the snapshot may be older than it, and older content never goes
// behind newer. What is dirty is then sent as it was frozen, without the
// touched sectors. A write that has no place makes its region one of later: it
// stays dirty whatever this pass sends.
type pass struct {
	name    string
	began   time.Time
	behind  uint64 // the last ordinal with writes when it was armed
	blind   bool   // it has to find out what a tap missed before
	blinds  uint64 // freezing.blinds when it was armed
	sending bool   // history is incomplete until it ends
	// settled: what it sends is known. It only shrinks from here on, so writes to
	// what is clean need no note.
	settled bool
	touched touched
	later   *dirty.Regions // nil for cbt, which sees no writes

	// Of the goroutine of passes, and set before the sweep reads them.
	at     time.Time
	devs   []Disk
	alloc  *dirty.Regions // nil: all may be allocated
	verify bool
	swept  []int64 // per disk: no note is needed before
}

func (p *pass) note(book *dirty.Map, d cdp.DiskID, off, n int64) bool {
	if p.settled {
		if dirty, until := book.At(d, off, off+n); !dirty && until >= off+n {
			return true
		}
	}
	return p.touched.note(d, off, n)
}

func (p *pass) leave(d cdp.DiskID, off, n int64) {
	if p != nil && p.later != nil {
		p.later.Set(d, off, n)
	}
}

// leaveAll leaves everything that is dirty to the next pass.
func (p *pass) leaveAll() {
	if p != nil && p.later != nil {
		p.later.SetAll()
	}
}

// incomplete reports whether history is, for another reason than a dirty region.
func (f *freezing) incomplete() bool { return f.blind || f.pass != nil && f.pass.sending }

func (g *Group) openFrozen(found dirty.Found) error {
	f := &g.frozen
	path := chainPath(g.cfg, g.job.Group)
	f.chain = loadChain(path, g.job.Disks)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		// It also tells Service.Purge that there may be snapshots.
		if err := f.chain.save(path); err != nil {
			return err
		}
	}
	f.unsure = found <= dirty.Rebooted || len(f.chain.Disks) == 0 || g.book.Bytes() >= g.book.Total()
	if g.job.Mode == CBT {
		if !f.chain.At.IsZero() {
			f.at = f.chain.At.UnixNano()
		}
		return nil
	}
	f.blind, g.why.tapLost = true, true
	for _, d := range g.disks {
		d.away = "it was not told to be live yet"
	}
	return nil
}

// bare notes, before a place is taken, that the journal is empty.
func (g *Group) bare(empty bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job.frozen() && empty && g.virgin && !g.job.Verify {
		g.frozen.bare = true
	}
}

// lose: frames were lost; what they held is dirty. Call with mu held.
func (g *Group) lose(l loss) {
	f := &g.frozen
	f.losses++
	f.pass.leaveAll()
	if l == lostEverything {
		f.bare, f.unsure = false, true
	}
}

// Live says that from now on the client of a frozen tap tells every write to the
// disk. What was written before may have been missed, also if the disk was live:
// it is found out by a pass, which begins once every disk is live. A client says
// it when it has connected, and again whenever the group NeedsResync. When it
// goes, however it goes, that ends. Conflict while no client is connected: one
// that has nothing to tell may not have noticed that its connection broke.
func (g *Group) Live(id cdp.DiskID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	const op = "take disk live"
	if g.job.Mode != Tap || !g.job.Frozen || int(id) >= len(g.disks) || g.state == Stopped {
		return cdp.Errorf(cdp.Invalid, op, string(g.job.Group), "no frozen tap with disk %d is running", id)
	}
	d := g.disks[id]
	if d.clients == 0 {
		return cdp.Errorf(cdp.Conflict, op, d.Name, "its client is not connected").WithHint("connect anew")
	}
	d.live = true
	g.blinded(op + " " + d.Name)
	return nil
}

// Unlive says that the client of a frozen tap's disk tells no more writes, from
// a moment on that is yet to come: whoever can say so before does, for there is
// always some time between the last write that is told and the end of its
// connection.
func (g *Group) Unlive(id cdp.DiskID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job.Frozen && int(id) < len(g.disks) {
		g.unlive(g.disks[id], "its client said that it goes")
	}
}

// unlive: writes to the disk are missed from about now on. Nobody knows whether
// the machine writes on: so there are no more points until Live. Call with mu
// held.
func (g *Group) unlive(d *disk, why string) {
	if g.state == Stopped || !d.live {
		return
	}
	g.lastPoint()
	d.live, d.away = false, fmt.Sprintf("%s, at %s", why, g.deps.Clock.Now().UTC().Format(time.TimeOnly))
	g.blinded(d.Name + ": " + why)
}

// absent is why points cannot be made of a frozen tap, while that is so: the
// disks whose writes nobody tells. Call with mu held.
func (g *Group) absent() error {
	if !g.job.Frozen || !g.why.tapLost {
		return nil
	}
	var all []string
	for _, d := range g.disks {
		if !d.live {
			all = append(all, d.Name+" ("+d.away+")")
		}
	}
	return fmt.Errorf("no client tells the writes to %s", strings.Join(all, ", "))
}

// blinded: writes may have been missed. Call with mu held.
func (g *Group) blinded(reason string) {
	g.frozen.blind = true
	g.frozen.blinds++
	g.why.tapLost = false
	for _, d := range g.disks {
		g.why.tapLost = g.why.tapLost || !d.live && !g.frozen.off
	}
	g.settle(reason)
	nudge(g.room)
}

// Cycle asks a cbt group for a cycle now, or right after the one under way.
func (g *Group) Cycle() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.cycles("start a cycle"); err != nil {
		return err
	}
	g.frozen.asked = true
	nudge(g.room)
	return nil
}

// Point asks a cbt group for a cycle that begins from now on, and waits for its
// recovery point: the stream has it then. The cycle goes on if ctx ends.
func (g *Group) Point(ctx context.Context) (cdp.Point, error) {
	const op = "make recovery point"
	made := make(chan cdp.Point, 1)
	g.mu.Lock()
	err := g.cycles(op)
	if err == nil {
		g.frozen.waiters = append(g.frozen.waiters, made)
		nudge(g.room)
	}
	g.mu.Unlock()
	if err != nil {
		return cdp.Point{}, err
	}
	select {
	case p := <-made:
		return p, nil
	case <-g.done:
		return cdp.Point{}, cdp.Errorf(cdp.Transient, op, string(g.job.Group), "the group was stopped")
	case <-ctx.Done():
		if st := g.Status(); st.Trouble != nil {
			return cdp.Point{}, cdp.Wrap(&cdp.Error{Op: "wait for its cycle", Kind: cdp.Transient, Cause: st.Trouble}, op, string(g.job.Group))
		}
		return cdp.Point{}, cdp.Errorf(cdp.Transient, op, string(g.job.Group), "its cycle is not complete yet")
	}
}

func (g *Group) cycles(op string) error {
	if g.job.Mode != CBT || g.state == Stopped || g.state == Fenced {
		return cdp.Errorf(cdp.Conflict, op, string(g.job.Group), "a %s group that is %s has no cycles", g.job.Mode, g.state)
	}
	return nil
}
