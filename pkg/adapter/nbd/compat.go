package nbd

import (
	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/core/block"
)

// Old names, until services/capture uses the new ones.
type (
	Backend       = block.Device
	StatusBackend = block.StatusDevice
	ZeroFlags     = block.ZeroFlags
	Extent        = block.Extent
	File          = blockfile.File
)

// Old names, until services/capture uses the new ones.
const (
	ZeroNoHole = block.ZeroNoHole
	ZeroFast   = block.ZeroFast
	ZeroFUA    = block.ZeroFUA
)

// OpenFile is blockfile.Open.
func OpenFile(path string, readOnly bool) (*File, error) { return blockfile.Open(path, readOnly) }
