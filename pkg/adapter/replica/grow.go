package replica

import (
	"slices"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/cdp"
)

// Grow makes room for larger disks, and for more of them: those open their images at
// paths as new ones. What is new holds zeros, also where an image was longer than its
// disk. A file is made longer; a device must have been: Transient until it is. Nobody
// may use the images meanwhile.
func (d *Disks) Grow(disks []cdp.Disk, paths []string) error {
	const op = "grow replica"
	for i, disk := range disks {
		if i >= len(d.files) {
			f, err := openOne(disk, paths[i], true)
			if err != nil {
				return cdp.Wrap(err, op, paths[i])
			}
			d.files, d.paths = append(d.files, f), append(slices.Clip(d.paths), paths[i])
			continue
		}
		if i >= len(d.disks) { // opened by an attempt that failed later
			continue
		}
		if err := growOne(d.files[i], d.disks[i].Size, disk.Size); err != nil {
			return cdp.Wrap(err, op, d.paths[i])
		}
	}
	d.disks = slices.Clone(disks)
	return nil
}

// growOne gives a disk in f another size.
func growOne(f *blockfile.File, from, to int64) error {
	if to <= from {
		return nil
	}
	had := f.Size()
	if had < to {
		if err := f.Extend(to); err != nil {
			return err
		}
	}
	if had > from {
		if err := f.Zero(from, min(had, to)-from, 0); err != nil {
			return &cdp.Error{Op: "zero", Kind: cdp.Transient, Cause: err}
		}
	}
	if err := f.Flush(); err != nil {
		return &cdp.Error{Op: "sync", Kind: cdp.Transient, Cause: err}
	}
	return nil
}
