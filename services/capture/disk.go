package capture

import (
	"tidemark.dev/pkg/adapter/nbd"
)

// OpenDisk opens the image or block device at path.
func OpenDisk(path string, readOnly bool) (Disk, error) {
	f, err := nbd.OpenFile(path, readOnly)
	if err != nil {
		return nil, err
	}
	return fileDisk{f}, nil
}

var _ Disk = fileDisk{}

// fileDisk is pkg/adapter/nbd's file as a Disk.
type fileDisk struct{ f *nbd.File }

func (d fileDisk) Size() int64                       { return d.f.Size() }
func (d fileDisk) ReadAt(p []byte, off int64) error  { return d.f.ReadAt(p, off) }
func (d fileDisk) WriteAt(p []byte, off int64) error { return d.f.WriteAt(p, off, false) }
func (d fileDisk) Sync() error                       { return d.f.Flush() }
func (d fileDisk) Close() error                      { return d.f.Close() }

func (d fileDisk) Zero(off, n int64, flags ZeroFlags) error {
	var f nbd.ZeroFlags
	if flags&NoHole != 0 {
		f |= nbd.ZeroNoHole
	}
	if flags&Fast != 0 {
		f |= nbd.ZeroFast
	}
	return d.f.Zero(off, n, f)
}

func (d fileDisk) Extents(off, n int64) (es []Extent) {
	for _, e := range d.f.Status(off, n) {
		es = append(es, Extent{Length: e.Length, Hole: e.Zero})
	}
	return es
}
