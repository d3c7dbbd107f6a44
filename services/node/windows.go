package node

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
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

// sharedMemory is where windows are, which cost no disk writes there. Everybody may
// write to it.
const sharedMemory = "/dev/shm"

// windows is the directory of what this site captures, in shared memory. Two sites of
// one machine may capture groups of one name, so it is named by the site's directory.
// Whoever made the directory above it could put another in its place. If that is
// somebody else, windows are kept in the site's own directory, on disk, and the error
// says why.
func (e *env) windows(memory string) (string, error) {
	top := filepath.Join(memory, "tidemark")
	if err := window.OwnDir(top); err != nil {
		return e.path("capture"), err
	}
	sum := sha256.Sum256([]byte(e.dir))
	return filepath.Join(top, string(e.site)+"-"+hex.EncodeToString(sum[:6])), nil
}

// removeOrphans removes windows of installations whose directory was removed.
func (e *env) removeOrphans(windows string) {
	removed, err := window.RemoveOrphans(filepath.Dir(windows))
	if err != nil {
		e.warn(err)
	}
	for _, dir := range removed {
		e.log.Info("removed windows of an installation that is gone", "dir", dir)
	}
}
