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
// disks gives an empty chain: then everything is compared.
func loadChain(path string, disks []JobDisk) chain {
	c, err := durable.ReadRecord[chain](path)
	if err != nil || len(c.Disks) != len(disks) {
		return chain{}
	}
	for i, d := range disks {
		if c.Disks[i].Name != d.Name || c.Disks[i].Size != d.Size {
			return chain{}
		}
	}
	return c
}

// changeID is that of a disk, "" when there is none.
func (c chain) changeID(d cdp.DiskID) string {
	if int(d) < len(c.Disks) {
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
