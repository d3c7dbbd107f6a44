// Package retention says what a journal's retention lock holds.
//
// What it never does: it decides nothing about history that is not locked (the journal's
// policy does), and it trusts no time of day. Ages are how long the journal has run.
package retention

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// Lock is the retention lock of a journal at one moment. The zero Lock holds nothing.
type Lock struct {
	// For is how long points are held after the journal stored them, and pinned points
	// after they were pinned.
	For time.Duration
	// Ran is how long the journal has run, and From how long it had run when the lock
	// began: points of older versions, which do not say when they were stored, count as
	// stored then.
	Ran, From time.Duration
}

// Left is how much longer p is held; 0: it is not.
func (l Lock) Left(p cdp.Point) time.Duration {
	return l.left(max(l.stored(p), pinned(p)))
}

// Held are the points, oldest first, that a journal must keep: history must go back to
// seq from for the time left. False: nothing is held.
func (l Lock) Held(ps []cdp.Point) (from cdp.Seq, left time.Duration, held bool) {
	for i, p := range ps {
		n := l.Left(p)
		if n == 0 {
			continue
		}
		if !held {
			from, held = p.Seq, true
			if i > 0 && l.left(l.stored(p)) > 0 {
				from = ps[i-1].Seq // what was written since the point before it is as young
			}
		}
		left = max(left, n)
	}
	return from, left, held
}

// stored is how long the journal had run when it stored p.
func (l Lock) stored(p cdp.Point) time.Duration {
	if p.Ran == 0 {
		return l.From
	}
	return p.Ran
}

// pinned is how long the journal had run when p was pinned.
func pinned(p cdp.Point) time.Duration {
	if !p.Pinned {
		return 0
	}
	return p.PinnedRan
}

// left is how much longer is held what is as old as since.
func (l Lock) left(since time.Duration) time.Duration {
	return max(0, l.For-max(0, l.Ran-since))
}
