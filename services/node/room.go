package node

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
)

// startBytes is how much must be free on a disk to start what writes there. The
// stores write before they can be read, and on a full disk they try for ever. A
// small file system, of which this is more than a sixteenth, needs less.
const startBytes = 64 << 20

// failoverBytes is startBytes while a failover uses the journals' reserve, which may be
// all the room that there was: it must be able to go on after a restart.
const failoverBytes = 8 << 20

// journalStore is where the journals of a site are, in the directory of the site.
func journalStore(site string) string { return filepath.Join(site, "journal", "store") }

// roomToStart is an error of kind Full if there is too little space on the disk
// where path is, or will be, to start the sites in some directories.
func roomToStart(path string, sites ...string) error {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		path = filepath.Dir(path) // it is not made yet
	}
	for _, site := range sites {
		if pebblestore.ReserveUsed(journalStore(site)) {
			return roomAt(path, failoverBytes)
		}
	}
	return roomAt(path, startBytes)
}

func roomAt(path string, most int64) error {
	const op = "start"
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	free, need := int64(st.Bavail)*st.Bsize, min(most, int64(st.Blocks)*st.Bsize/16)
	if free >= need {
		return nil
	}
	return cdp.Errorf(cdp.Full, op, path, "the disk is full: %d KiB are free, and it takes %d KiB to start", free>>10, need>>10).
		WithHint("free space on this disk, or enlarge it; what is stored there is safe")
}
