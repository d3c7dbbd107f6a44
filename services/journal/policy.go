package journal

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/retention"
)

// outlook is what policy decides from. Horizon is only ever moved to points, so
// that the oldest seq that can be recovered is one where history is complete.
type outlook struct {
	Now    time.Time // target clock
	Bounds cdp.Bounds
	// Known is whether Points, Bytes and Limit were looked up; if not, horizon stays.
	Known bool
	// Points are oldest first. Their times say how long ago, before Now, the journal
	// stored them, and not what the source says.
	Points []cdp.Point
	// Bytes is claim.bytes.
	Bytes int64
	Mode  cdp.JournalMode
	// History and MergeEvery are the job's, Limit is that of the claim; 0: none.
	History    time.Duration
	Limit      int64
	MergeEvery time.Duration
	// Owed is the part of its history that the journal gives up because its disk is
	// nearly full, from 0 to 1.
	Owed float64
	// Lock is the retention lock.
	Lock retention.Lock
}

// intent is what policy wants done: at most one raise and one move of horizon.
type intent struct {
	Raise   cdp.Seq // 0: leave base
	Horizon cdp.Seq // 0: leave horizon; base must be at or past it
	Merge   bool    // horizon and base move together: nothing needs a floor
	Reason  string
	// Cut is set when history that the job wants to keep is dropped for space.
	Cut bool
}

// decide is the policy of base and horizon. It is pure.
func decide(o outlook) intent {
	var in intent
	if o.Mode == cdp.Rollback && o.Bounds.Base < o.Bounds.Head {
		in.Raise = o.Bounds.Head
	}
	if !o.Known {
		return in
	}
	if to := merged(o); to > o.Bounds.Base {
		in.Raise = to
	}
	to, reason, cut := horizon(o)
	if from, _, held := o.Lock.Held(o.Points); held {
		to = min(to, from)
	}
	if to <= o.Bounds.Horizon {
		return in
	}
	in.Horizon, in.Reason, in.Cut = to, reason, cut
	if to > o.Bounds.Base {
		in.Raise = max(in.Raise, to)
		in.Merge = o.Bounds.Base == o.Bounds.Horizon && in.Raise == to
	}
	return in
}

// merged is the seq that the merge of a roll-forward journal is due to bring base to:
// the newest point, once base is as old as the merges are apart; else 0. History
// stays: what the replica held is kept as floors.
func merged(o outlook) cdp.Seq {
	if o.Mode != cdp.RollForward || o.MergeEvery <= 0 || len(o.Points) == 0 {
		return 0
	}
	for _, p := range o.Points { // the oldest that base has not reached
		if p.Seq > o.Bounds.Base {
			if o.Now.Sub(p.Time) < o.MergeEvery {
				return 0
			}
			return o.Points[len(o.Points)-1].Seq
		}
	}
	return 0
}

// seeding is the reason for moves that drop nothing.
const seeding = "seeding"

// diskFull is the reason of cuts that keep the disk of the journals from filling up.
const diskFull = "disk nearly full"

// horizon is the seq that horizon should move to; at or below the present one,
// it stays.
func horizon(o outlook) (to cdp.Seq, reason string, cut bool) {
	if len(o.Points) == 0 {
		// Seeding: nothing can be recovered yet, so nothing needs to be kept, and
		// the seed goes straight into the replica.
		return o.Bounds.Head, seeding, false
	}
	pinned := o.Bounds.Head
	for _, p := range o.Points {
		if p.Pinned {
			pinned = p.Seq
			break
		}
	}
	// Before the oldest point nothing can be recovered.
	to, reason = o.Points[0].Seq, seeding
	// The newest point that is old enough, but not past a pinned one, and never
	// the newest of all: something must stay to recover to.
	for i, p := range o.Points {
		if i == len(o.Points)-1 || p.Seq > pinned || o.Now.Sub(p.Time) < o.History {
			break
		}
		if i > 0 {
			to, reason = p.Seq, "history limit"
		}
	}
	if s, why := o.forRoom(pinned); s > to {
		return s, why, true
	}
	return to, reason, false
}

// forRoom is the seq that horizon should move to for want of room; 0: there is room.
func (o outlook) forRoom(pinned cdp.Seq) (to cdp.Seq, why string) {
	part, why := o.Owed, diskFull
	limited := o.Limit > 0 && presses(o.Bytes, o.Limit)
	if limited {
		if over := float64(o.Bytes-goal(o.Limit)) / float64(o.Bytes); over >= part {
			part, why = over, "size limit"
		}
	}
	if part == 0 || len(o.Points) < 2 {
		return 0, ""
	}
	// Drop the share of the oldest points that makes room, assuming that all take equal
	// space. Pinned ones stay until nothing else keeps the job's own limit.
	n := max(1, int(float64(len(o.Points))*part))
	to = o.Points[min(n, len(o.Points)-1)].Seq
	if !limited || !forced(o.Bytes, o.Limit) {
		to = min(to, pinned)
	}
	return to, why
}
