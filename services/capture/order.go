package capture

import (
	"fmt"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
	"tidemark.dev/pkg/engine/wake"
)

// order gives the writes of a group their one order: a write gets the next seq
// and a place in the open frame, or its region becomes dirty. Guests, sender,
// copier and passes meet here.
//
// mu guards all fields that follow it. It is held for one piece of a write, at
// most frame.MaxWrite bytes, and across no system call but the one by which the
// window takes memory or gives it back, some 100 µs per MiB. Call a method with
// mu held unless its comment says that it locks.
//
// Invariant: content that is in none of window, stream and journal is dirty.
type order struct {
	*setup
	book  *dirty.Map
	notes *notes
	wake  wake.Bell // to the sender: there may be a frame to send
	room  wake.Bell // to copier and passes: there may be room and work

	mu         sync.Mutex
	out        outbox
	state      event.CaptureState
	why        facts     // what state follows from
	overflowed time.Time // when the newest overflow began
	idle       bool      // the sender waits for wake

	taps taps
	copy copying // the range that the copier reads
	pass *pass   // the pass that is armed; nil: none

	owed   bool   // a recovery point is to be made once that is possible
	losses uint64 // how often frames were lost
	virgin bool   // there was no map: a first start, perhaps
	// bare: map and journal are empty, so what is not allocated is right already.
	// unsure: everything is dirty because nothing is known. Of frozen groups.
	bare, unsure bool
	at           int64 // of a cbt group: the source time its frames get, ns since 1970

	tally
}

// tally is what Status shows beyond the state. order.mu guards it.
type tally struct {
	total    int64     // bytes of the seed or resync under way
	began    time.Time // when that began
	copied   int64     // of the last one that had something to send
	verified int64     // of the last pass with something to send: bytes that the target had
	trouble  error     // the last failure of stream, journal or disk
	failed   error     // why the last pass failed; nil: it did not, or none has ended yet
	meddled  error     // why the disks are copied again, until they are
	resyncs  resyncs
}

// stamp is the time that frames and writes get. Those of a cbt group have the
// time of the snapshot they were read from.
func (o *order) stamp() int64 {
	if o.job.Mode == cdp.CBT && o.at != 0 {
		return o.at
	}
	return o.deps.Clock.Now().UnixNano()
}

// flags are those of a frame that is closed now.
func (o *order) flags() frame.Flags {
	if o.state == event.Replicating && o.book.Count() == 0 && !o.incomplete() {
		return frame.Consistent
	}
	return 0
}

// incomplete reports whether history is, for another reason than a dirty region.
func (o *order) incomplete() bool { return o.taps.blind || o.pass != nil && o.pass.sending }

// update chooses the state after a fact changed. Once the group is stopped it does
// nothing: map and window may be closed.
func (o *order) update(reason string) {
	if o.state == event.CaptureStopped {
		return
	}
	o.why.dirty = o.book.Count() > 0 || o.incomplete()
	o.why.seeding = o.book.Seeding()
	o.why.tapLost, o.why.tapCopying = o.taps.lost(), o.taps.copying()
	now := o.deps.Clock.Now()
	o.why.drained = o.out.pending() <= o.cfg.Slots/2 && now.Sub(o.overflowed) >= o.cfg.OverflowHold
	from := o.state
	o.state = next(from, o.why)
	if o.state == event.Replicating {
		o.meddled = nil
		if o.why.seeding {
			o.book.Seeded()
		}
	}
	if from == o.state {
		return
	}
	if o.state == event.Overflow {
		o.overflowed = now
	}
	switch {
	case copies(o.state):
		o.total, o.began = o.book.Bytes(), now
	case o.state == event.Replicating && copies(from) && o.total > 0:
		o.copied = o.total
	}
	o.resyncs.note(o.job, from, o.state)
	o.notes.add(Change{Group: o.job.Group, From: from, To: o.state, Reason: reason, At: now})
	o.room.Ring()
	o.wake.Ring()
	o.payPoint()
}

// recoverWindow closes the frame that an earlier process left open: its writes
// are whole, and what came after them is among the intents. Nothing is sent yet.
func (o *order) recoverWindow() {
	if open, _, _ := o.out.win.OpenFrame(); open {
		o.out.win.End(o.flags(), o.stamp())
	}
	o.out.acked = o.out.win.First() - 1
	o.out.sent, o.out.sealed = o.out.acked, o.out.acked
}

// ack notes that the stream has every frame up to no.
func (o *order) ack(no cdp.FrameNo) {
	f, ok := o.out.ack(no)
	if !ok {
		return
	}
	m := o.book.Mark()
	m.No, m.Hash, m.Last = f.No, f.Hash, f.Last()
	o.book.SetMark(m)
	if o.state == event.Overflow {
		o.update("the window has drained")
	}
	if copies(o.state) || o.pass != nil {
		o.room.Ring()
	}
}

// lose notes that frames were lost. What they held is dirty.
func (o *order) lose(l loss) {
	o.losses++
	o.copy.void = true
	o.pass.leaveAll()
	if l == lostEverything {
		o.bare, o.unsure = false, true
	}
}

// wentBack compares the journal's newest frame with what it said to have on disk. If
// that is less the journal has lost history, and people must know: what is sent
// again brings the disks' content back, and not the points. It locks.
func (o *order) wentBack(newest cdp.FrameNo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if newest < o.out.durable {
		o.notes.add(alarm{AlarmWentBack, fmt.Sprintf("the journal has lost history: its newest frame is %d, and it had reported frame %d as durable; "+
			"the recovery points in between are lost, and the disks are compared or copied again", newest, o.out.durable)})
		o.out.durable = newest
	}
}

// blinded notes that writes of a frozen tap may have been missed, nobody knows
// where: a pass has to find out.
func (o *order) blinded(reason string) {
	o.taps.blind = true
	o.taps.blinds++
	o.update(reason)
	o.room.Ring()
}

// drained closes the open frame, and reports whether the stream has all there is
// or will not take it. It locks.
func (o *order) drained() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out.hasOpenWrites() && accepts(o.state) {
		o.out.win.End(o.flags(), o.stamp())
		o.wake.Ring()
	}
	return o.out.win.Closed() == o.out.acked || !o.why.attached || o.state == event.Fenced
}

// stop makes every later write miss. It locks.
func (o *order) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why.stopped = true
	o.update("closed")
}

// setTrouble keeps what went wrong last, for Status; nil: it is over. It locks.
func (o *order) setTrouble(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trouble = err
}

// poke wakes the sender if it waits.
func (o *order) poke() {
	if o.idle {
		o.idle = false
		o.wake.Ring()
	}
}
