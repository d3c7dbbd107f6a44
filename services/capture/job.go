package capture

import (
	"crypto/tls"
	"os"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// Mode says where a group's writes come from.
type Mode string

const (
	// Inline: the disks are behind the exports.
	Inline Mode = "inline"
	// Tap: the exports are told every write; the disks are elsewhere.
	Tap Mode = "tap"
	// CBT: no write is seen. What changed is asked for and read from a snapshot,
	// one cycle after the other; each makes one recovery point.
	CBT Mode = "cbt"
)

// Job is one group to capture.
type Job struct {
	Group  cdp.GroupID
	Mode   Mode
	Disks  []JobDisk
	Listen []Listen // none for cbt
	// Frozen: what is dirty is read from snapshots. Its disks have no Path and
	// their Size must be told. With CBT it is understood.
	Frozen bool
	// Every is from the start of one cycle to the start of the next, for cbt.
	Every time.Duration
	// Verify: the target holds a seed already, so what a first pass finds there
	// is not sent. Only for what is frozen.
	Verify bool
}

// frozen reports whether disks are read from snapshots.
func (j Job) frozen() bool { return j.Frozen || j.Mode == CBT }

// JobDisk is a disk of a job, by ID from 0. Its Name is the export's name.
type JobDisk struct {
	cdp.Disk
	// Path of the image or block device: required inline; for a tap it may be
	// empty, and is only read; frozen there is none. Size 0 means the size of
	// what is there.
	Path string
}

// Listen is where clients reach a group's disks.
type Listen struct {
	Network string // "unix" or "tcp"
	Address string
	TLS     *tls.Config // nil: none
	// Mode of a unix socket's file. Default 0600.
	Mode os.FileMode
}

func (j Job) check() error {
	const op = "check capture job"
	if err := cdp.CheckName("group", string(j.Group)); err != nil {
		return err
	}
	switch {
	case j.Mode != Inline && j.Mode != Tap && j.Mode != CBT:
		return cdp.Errorf(cdp.Invalid, op, "mode", "%q is neither inline, tap nor cbt", j.Mode)
	case j.Frozen && j.Mode == Inline:
		return cdp.Errorf(cdp.Invalid, op, "frozen", "an inline group reads its own disks")
	case j.Verify && !j.frozen():
		return cdp.Errorf(cdp.Invalid, op, "verify", "only what is frozen can be verified")
	case j.Mode == CBT && j.Every <= 0 || j.Mode != CBT && j.Every != 0:
		return cdp.Errorf(cdp.Invalid, op, "every", "%v: cbt needs a cadence, and nothing else has one", j.Every)
	case j.Mode == CBT && len(j.Listen) > 0:
		return cdp.Errorf(cdp.Invalid, op, "listen", "nobody writes to a cbt group")
	}
	if len(j.Disks) == 0 {
		return cdp.Errorf(cdp.Invalid, op, "disks", "none")
	}
	names := map[string]bool{}
	for i, d := range j.Disks {
		switch {
		case int(d.ID) != i:
			return cdp.Errorf(cdp.Invalid, op, "disks.id", "%d at place %d", d.ID, i)
		case d.Name == "" || names[d.Name]:
			return cdp.Errorf(cdp.Invalid, op, "disks.name", "%q is empty or used twice", d.Name)
		case d.Size < 0 || d.Size%cdp.SectorSize != 0 || d.Size == 0 && d.Path == "":
			return cdp.Errorf(cdp.Invalid, op, "disks.size", "%d is no multiple of %d", d.Size, cdp.SectorSize)
		case d.Path == "" && j.Mode == Inline:
			return cdp.Errorf(cdp.Invalid, op, "disks.path", "inline needs one")
		case d.Path != "" && j.frozen():
			return cdp.Errorf(cdp.Invalid, op, "disks.path", "%q: frozen disks are read from their snapshots", d.Path)
		}
		names[d.Name] = true
	}
	for _, l := range j.Listen {
		if l.Network != "unix" && l.Network != "tcp" {
			return cdp.Errorf(cdp.Invalid, op, "listen.network", "%q is neither unix nor tcp", l.Network)
		}
	}
	return nil
}

func (j Job) identity(boot string) dirty.Identity {
	id := dirty.Identity{Group: j.Group, Boot: boot}
	for _, d := range j.Disks {
		id.Disks = append(id.Disks, d.Disk)
	}
	return id
}
