package inventory

import "slices"

// Twin is a disk UUID that several disks have, as those of a clone that the storage
// made. A transporter tells disks apart by their UUID alone.
type Twin struct {
	Disk string    `json:"disk"` // the UUID
	Of   []TwinsVM `json:"of"`
}

// TwinsVM is a VM with such a disk.
type TwinsVM struct {
	UUID string `json:"uuid"` // its instance UUID
	Path string `json:"path"`
}

// Twins are the disk UUIDs that the VMs share with each other or with other VMs of
// the inventory. A frozen copy of a disk is no twin, and neither is one file that
// several VMs have. Templates are never attached anywhere.
func (inv Inventory) Twins(vms []VM) []Twin {
	type use struct {
		vm   TwinsVM
		file string
	}
	uses := map[string][]use{}
	for _, v := range inv.VMs {
		for _, d := range v.Hardware.Disks {
			if d.UUID != "" && d.Mode != "independent_nonpersistent" && !v.Template {
				uses[d.UUID] = append(uses[d.UUID], use{TwinsVM{v.UUID, v.Path}, d.File})
			}
		}
	}
	var out []Twin
	seen := map[string]bool{}
	for _, v := range vms {
		for _, d := range v.Hardware.Disks {
			all := uses[d.UUID]
			if seen[d.UUID] || !slices.ContainsFunc(all, func(u use) bool { return u.file != all[0].file }) {
				continue
			}
			seen[d.UUID] = true
			t := Twin{Disk: d.UUID}
			for _, u := range all {
				t.Of = append(t.Of, u.vm)
			}
			out = append(out, t)
		}
	}
	return out
}
