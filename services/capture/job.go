package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// Job is one group to capture.
type Job struct {
	Group  cdp.GroupID
	Target cdp.Site // whose journal stores the group
	Mode   cdp.CaptureMode
	Disks  []JobDisk
	Listen []Listen // none for cbt
	// VM is the instance UUID of the machine whose disks these are, for Snapshots.
	VM string
	// Frozen: what is dirty is read from snapshots. Its disks have no Path, and
	// need a Size. It is implied by cbt.
	Frozen bool
	// Every is from the start of one cycle to the start of the next, for cbt.
	Every time.Duration
	// Verify: the target has a seed already, so what a first pass finds there
	// is not sent. Only for frozen and inline disks.
	Verify bool
}

// frozen reports whether disks are read from snapshots.
func (j Job) frozen() bool { return j.Frozen || j.Mode == cdp.CBT }

// JobDisk is a disk of a job; IDs count from 0. Its Name is the export's name.
type JobDisk struct {
	cdp.Disk
	// Path of the image or block device. Inline needs one. A tap may have one,
	// which is only read; frozen disks have none. Size 0 means the size of the
	// disk at Path.
	Path string
	Key  int32 // the device key, of a VM's disk
	// Removed: the VM does not have it any more. It keeps its place in the group, and
	// nothing of it is read.
	Removed bool
}

func (j Job) machine() Machine {
	m := Machine{Group: j.Group, VM: j.VM}
	for _, d := range j.Disks {
		if d.Removed {
			d.Key = 0
		}
		m.Keys = append(m.Keys, d.Key)
	}
	return m
}

// Listen is where clients reach a group's disks.
type Listen struct {
	Network string // "unix" or "tcp"
	Address string // a path, or host and port
}

func (j Job) check() error {
	const op = "check capture job"
	if err := cdp.CheckName("group", string(j.Group)); err != nil {
		return err
	}
	switch {
	case j.Mode != cdp.Inline && j.Mode != cdp.Tap && j.Mode != cdp.CBT:
		return cdp.Errorf(cdp.Invalid, op, "mode", "%q is none of inline, tap and cbt", j.Mode)
	case j.Frozen && j.Mode == cdp.Inline:
		return cdp.Errorf(cdp.Invalid, op, "frozen", "an inline group reads its own disks")
	case j.Verify && !j.frozen() && j.Mode != cdp.Inline:
		return cdp.Errorf(cdp.Invalid, op, "verify", "only frozen and inline disks can be verified")
	case j.Mode == cdp.CBT && j.Every <= 0 || j.Mode != cdp.CBT && j.Every != 0:
		return cdp.Errorf(cdp.Invalid, op, "every", "%v: a cbt job needs a cadence, and no other job has one", j.Every)
	case j.Mode == cdp.CBT && len(j.Listen) > 0:
		return cdp.Errorf(cdp.Invalid, op, "listen", "a cbt group serves no disks: nobody writes to it")
	}
	if len(j.Disks) == 0 {
		return cdp.Errorf(cdp.Invalid, op, "disks", "there are none; a group needs at least one")
	}
	names := map[string]bool{}
	for i, d := range j.Disks {
		switch {
		case int(d.ID) != i:
			return cdp.Errorf(cdp.Invalid, op, "disks.id", "disk %d is at place %d; IDs count from 0", d.ID, i)
		case d.Name == "" || names[d.Name]:
			return cdp.Errorf(cdp.Invalid, op, "disks.name", "%q is empty or used twice", d.Name)
		case d.Size < 0 || d.Size%cdp.SectorSize != 0 || d.Size == 0 && d.Path == "":
			return cdp.Errorf(cdp.Invalid, op, "disks.size", "%d is not a multiple of %d", d.Size, cdp.SectorSize)
		case d.Path == "" && j.Mode == cdp.Inline:
			return cdp.Errorf(cdp.Invalid, op, "disks.path", "disk %q has no path, and an inline disk needs one", d.Name)
		case d.Removed && !j.frozen():
			return cdp.Errorf(cdp.Invalid, op, "disks.removed", "disk %q was removed, and only frozen disks can be", d.Name)
		case d.Path != "" && j.frozen():
			return cdp.Errorf(cdp.Invalid, op, "disks.path", "%q is given, and frozen disks are read from their snapshots", d.Path)
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
