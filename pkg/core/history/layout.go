package history

import (
	"slices"

	"tidemark.dev/pkg/cdp"
)

// Layout is a group's disks, by ID, from one write on.
type Layout struct {
	From  cdp.Seq    `json:"from"`
	Disks []cdp.Disk `json:"disks"`
}

// Layouts are the disks that a group has had, by rising From. The first is from
// write 0 on, whatever its From. No disk ever shrinks or goes: what an older point
// holds lies within every later layout.
type Layouts []Layout

// Of is a group that has always had these disks.
func Of(disks []cdp.Disk) Layouts { return Layouts{{Disks: disks}} }

// At are the disks as they were at write s.
func (l Layouts) At(s cdp.Seq) []cdp.Disk {
	for _, x := range slices.Backward(l[1:]) {
		if x.From <= s {
			return x.Disks
		}
	}
	return l[0].Disks
}

// Newest are the disks of the last layout.
func (l Layouts) Newest() []cdp.Disk { return l[len(l)-1].Disks }

// Grow returns the layouts once the disks are larger from write from on. Later
// layouts were for writes that were lost, and are replaced. Conflict: a disk would
// shrink, go, or change its name. l stays as it is.
func (l Layouts) Grow(from cdp.Seq, disks []cdp.Disk) (Layouts, error) {
	was := l.Newest()
	if len(disks) < len(was) {
		return nil, cdp.Errorf(cdp.Conflict, opGrow, "", "%d disks, and the group has %d", len(disks), len(was))
	}
	for i, d := range was {
		switch {
		case disks[i].Name != d.Name:
			return nil, cdp.Errorf(cdp.Conflict, opGrow, d.Name, "disk %d would be %s", i, disks[i].Name)
		case disks[i].Size < d.Size:
			return nil, cdp.Errorf(cdp.Conflict, opGrow, d.Name, "it would shrink from %d to %d bytes", d.Size, disks[i].Size)
		}
	}
	n := len(l)
	for n > 1 && l[n-1].From >= from {
		n--
	}
	return append(slices.Clone(l[:n]), Layout{From: from, Disks: slices.Clone(disks)}), nil
}

const opGrow = "grow disks"

// Outside reports whether a write to disk, which ends at byte end, is not within the
// disks.
func Outside(disks []cdp.Disk, disk cdp.DiskID, end int64) bool {
	return int(disk) >= len(disks) || end > disks[disk].Size
}
