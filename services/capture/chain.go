package capture

import (
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// chain is what joins one pass over frozen disks to the next, a small file in
// the state directory.
//
// Invariant: whatever changed on a disk up to the snapshot of its change id is
// in the stream or window, or dirty in the map on disk. So it is written
// after the map, and before the first of what it found dirty is sent. After a crash
// in between, the next process finds an older chain, and asks for more than it needs.
type chain struct {
	Pass string    `json:"pass"`
	At   time.Time `json:"at"` // of its snapshot
	// Verify: what is dirty since a pass that compared is still to be compared.
	Verify bool        `json:"verify,omitempty"`
	Disks  []chainDisk `json:"disks"`
}

type chainDisk struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	ChangeID string `json:"changeId,omitempty"`
}

func chainPath(cfg Config, g cdp.GroupID) string {
	return filepath.Join(cfg.StateDir, string(g)+".passes")
}

// loadChain reads the file of a group. A file that is missing, damaged or of other
// disks gives an empty chain: then everything is compared. A disk that was extended since
// has no change id any more: some versions of vSphere lose changes then. One that was
// added since is not in the chain.
func loadChain(path string, disks []JobDisk) chain {
	c, err := durable.ReadRecord[chain](path)
	if err != nil || len(c.Disks) > len(disks) {
		return chain{}
	}
	for i := range c.Disks {
		switch x, d := &c.Disks[i], disks[i]; {
		case x.Name != d.Name || x.Size > d.Size:
			return chain{}
		case x.Size < d.Size:
			x.ChangeID = ""
		}
	}
	return c
}

// has reports whether the last pass had a disk.
func (c chain) has(d cdp.DiskID) bool { return int(d) < len(c.Disks) }

// changeID is that of a disk, "" when there is none.
func (c chain) changeID(d cdp.DiskID) string {
	if c.has(d) {
		return c.Disks[d].ChangeID
	}
	return ""
}

// save replaces the file, whole or not at all.
func (c chain) save(path string) error {
	if err := durable.WriteRecord(path, c); err != nil {
		return &cdp.Error{Op: "keep change ids", Kind: cdp.Transient, Subject: path, Cause: err}
	}
	return nil
}
