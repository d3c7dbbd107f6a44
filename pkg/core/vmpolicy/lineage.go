package vmpolicy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/inventory"
)

// Lineage is a disk at the moment of a pass. What the vCenter reports as changed since
// then is all that changed only if the disk descends from that moment: after a revert
// to an older snapshot it does not, and the change id may be valid all the same.
type Lineage struct {
	// ChangeID is the vCenter's, "<line>/<number>". The number grows with every
	// snapshot, and falls with a revert.
	ChangeID string `json:"id"`
	Size     int64  `json:"size"`
	// Top is the file that had the disk's newest writes, and Last the snapshot below
	// it. Both are empty if the VM had no snapshot but Tidemark's own: then there was
	// nothing older to revert to.
	Top  string        `json:"top,omitempty"`
	Last inventory.Ref `json:"last,omitempty"`
	At   time.Time     `json:"at"`
}

// mergeFor is how long after a pass a missing Top may be explained by a snapshot that
// was removed since, as a backup does. Later, somebody may have reverted to the
// snapshot, then removed it, and taken others.
const mergeFor = 15 * time.Minute

// LineageOf describes a frozen disk of a pass; others are the VM's other snapshots.
func LineageOf(d inventory.Disk, others []inventory.Snapshot, at time.Time) Lineage {
	l := Lineage{ChangeID: d.ChangeID, Size: d.Size, At: at}
	if len(others) == 0 {
		return l
	}
	l.Top = d.File
	for _, x := range others {
		if len(d.Below) > 0 && slices.ContainsFunc(x.Disks, func(y inventory.Disk) bool { return y.File == d.Below[0] }) {
			l.Last = x.Ref
		}
	}
	return l
}

// Since says why the changes since the lineage's moment are not known, given the disk
// as a later pass froze it; empty if they are.
func (l Lineage) Since(d inventory.Disk, others []inventory.Snapshot, at time.Time) string {
	was, is := number(l.ChangeID), number(d.ChangeID)
	gap := at.Sub(l.At)
	removed := l.Last != "" && !slices.ContainsFunc(others, func(x inventory.Snapshot) bool { return x.Ref == l.Last })
	switch {
	case l.Size != 0 && l.Size != d.Size:
		return fmt.Sprintf("the disk had %d bytes at the last pass, and has %d now", l.Size, d.Size)
	case sameLine(l.ChangeID, d.ChangeID) && is < was:
		return fmt.Sprintf("its change id fell from %s to %s: the VM was reverted to a snapshot", l.ChangeID, d.ChangeID)
	case l.Top == "" || l.Top == d.File || slices.Contains(d.Below, l.Top):
		return ""
	case removed && is > was && gap >= 0 && gap < mergeFor:
		return ""
	}
	return fmt.Sprintf("its file %s is gone since the last pass: the VM was reverted to a snapshot, or one was removed", l.Top)
}

// Untracked names a snapshot that was taken while changed-block tracking was off; empty
// if there is none. Until it is removed, a vCenter does not know all of a disk's changes
// or allocated areas.
func Untracked(key int32, others []inventory.Snapshot) string {
	for _, x := range others {
		if slices.ContainsFunc(x.Disks, func(d inventory.Disk) bool {
			return d.Key == key && d.ChangeID == "" && !strings.HasPrefix(d.Mode, "independent")
		}) {
			return x.Name
		}
	}
	return ""
}

func sameLine(a, b string) bool {
	x, _, _ := strings.Cut(a, "/")
	y, _, _ := strings.Cut(b, "/")
	return x == y
}

func number(id string) int {
	_, n, _ := strings.Cut(id, "/")
	i, _ := strconv.Atoi(n)
	return i
}

// String is the lineage as text, for whoever keeps it between two passes.
func (l Lineage) String() string {
	if l.ChangeID == "" {
		return ""
	}
	raw, _ := json.Marshal(l) // plain values
	return string(raw)
}

// ParseLineage reads what String wrote. Anything else is a bare change id.
func ParseLineage(text string) Lineage {
	var l Lineage
	if json.Unmarshal([]byte(text), &l) != nil || l.ChangeID == "" {
		return Lineage{ChangeID: text}
	}
	return l
}
