package node

import (
	"cmp"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/window"
)

// minWindows is the least memory that windows may be limited to, in bytes: that of one
// full window.
const minWindows = 32 << 20

// windowBudget is the memory that windows share: what the file says, or an eighth of
// the machine's.
func windowBudget(size spec.Size) *window.Budget {
	var m unix.Sysinfo_t
	eighth := int64(minWindows)
	if unix.Sysinfo(&m) == nil {
		eighth = max(eighth, int64(m.Totalram)*int64(m.Unit)/8)
	}
	return window.NewBudget(int64(cmp.Or(size, spec.Size(eighth))))
}

// removeOrphans removes windows of installations whose directory was removed.
func (e *env) removeOrphans() {
	removed, err := window.RemoveOrphans(filepath.Dir(e.windows()))
	if err != nil {
		e.warn(err)
	}
	for _, dir := range removed {
		e.log.Info("removed windows of an installation that is gone", "dir", dir)
	}
}
