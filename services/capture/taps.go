package capture

import (
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// taps is what is known of the clients that feed a tap's disks. It is empty for
// other modes. order.mu guards it.
//
// A copying tap (no frozen disks) has no disk to read missed writes from: its
// client copies the whole disk again. A frozen one reads them in a pass.
type taps struct {
	frozen bool
	of     []tapDisk // by disk

	// Of a frozen tap.
	blind  bool   // writes were missed, nobody knows where, and no pass has found out yet
	blinds uint64 // how often that began
	off    bool   // the machine is off, so nothing is missed: see Group.LastPoint
}

// tapDisk is one disk of a tap.
type tapDisk struct {
	name    string
	removed bool // the machine does not have it: it misses nothing
	clients int  // that are connected

	lost   bool // copying: it missed a write since CopyStarted
	synced bool // copying: its client's copy is complete

	live bool   // frozen: its client reports every write
	away string // frozen: if it does not, why and since when
}

func newTaps(j Job) (t taps) {
	if j.Mode != cdp.Tap {
		return t
	}
	t.frozen, t.blind = j.Frozen, j.Frozen
	for _, d := range j.Disks {
		t.of = append(t.of, tapDisk{name: d.Name, removed: d.Removed, away: "its client has not said that it is live"})
	}
	return t
}

// lost reports whether a tap misses writes: copying, since CopyStarted; frozen,
// while a disk is not live.
func (t *taps) lost() bool {
	for i := range t.of {
		if d := &t.of[i]; d.lost || t.frozen && !d.live && !d.removed && !t.off {
			return true
		}
	}
	return false
}

// copying reports whether a copying tap's client has a copy to complete.
func (t *taps) copying() bool {
	if t.frozen {
		return false
	}
	for i := range t.of {
		if !t.of[i].synced {
			return true
		}
	}
	return false
}

// missAll notes that a copying tap missed a write: every disk must be copied again.
func (t *taps) missAll() {
	for i := range t.of {
		t.of[i].lost, t.of[i].synced = true, false
	}
}

// absent is why no points can be made of a frozen tap: the disks whose writes
// nobody reports. Nil if there are none.
func (t *taps) absent() error {
	if !t.frozen || !t.lost() {
		return nil
	}
	var all []string
	for _, d := range t.of {
		if !d.live && !d.removed {
			all = append(all, d.name+" ("+d.away+")")
		}
	}
	return fmt.Errorf("no client reports the writes to %s", strings.Join(all, ", "))
}
