package node

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// startBytes is how much must be free on a disk to start what writes there. The
// stores write before they can be read, and on a full disk they try for ever. A
// small file system, of which this is more than a sixteenth, needs less.
const startBytes = 64 << 20

// roomToStart is an error of kind Full if there is too little space on the disk
// where path is, or will be.
func roomToStart(path string) error {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		path = filepath.Dir(path) // it is not made yet
	}
	return roomAt(path)
}

func roomAt(path string) error {
	const op = "start"
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	free, need := int64(st.Bavail)*st.Bsize, min(startBytes, int64(st.Blocks)*st.Bsize/16)
	if free >= need {
		return nil
	}
	return cdp.Errorf(cdp.Full, op, path, "the disk is full: %d KiB are free, and it takes %d KiB to start", free>>10, need>>10).
		WithHint("free space on this disk, or enlarge it; what is stored there is safe")
}
