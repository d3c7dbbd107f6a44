package journal

import (
	"syscall"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/engine/vault"
)

// point is one disk of a view as a block device: read-only.
type point struct {
	view *vault.View
	disk cdp.DiskID
}

var _ block.Device = point{}

func (p point) Size() int64                              { return p.view.Size(p.disk) }
func (p point) ReadAt(b []byte, off int64) error         { return p.view.ReadAt(p.disk, b, off) }
func (p point) WriteAt([]byte, int64, bool) error        { return syscall.EPERM }
func (p point) Zero(int64, int64, block.ZeroFlags) error { return syscall.EPERM }
func (p point) Trim(int64, int64, bool) error            { return syscall.EPERM }
func (p point) Flush() error                             { return nil }
