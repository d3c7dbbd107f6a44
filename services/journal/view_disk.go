package journal

import (
	"syscall"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/engine/vault"
)

// viewDisk is one disk of a view as a block device: read-only.
type viewDisk struct {
	view *vault.View
	disk cdp.DiskID
}

var _ block.StatusDevice = viewDisk{}

func (d viewDisk) Size() int64                              { return d.view.Size(d.disk) }
func (d viewDisk) ReadAt(b []byte, off int64) error         { return d.view.ReadAt(d.disk, b, off) }
func (d viewDisk) Status(off, n int64) []block.Extent       { return d.view.Status(d.disk, off, n) }
func (d viewDisk) WriteAt([]byte, int64, bool) error        { return syscall.EPERM }
func (d viewDisk) Zero(int64, int64, block.ZeroFlags) error { return syscall.EPERM }
func (d viewDisk) Trim(int64, int64, bool) error            { return syscall.EPERM }
func (d viewDisk) Flush() error                             { return nil }
