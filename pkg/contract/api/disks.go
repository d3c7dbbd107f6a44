package api

import (
	"slices"

	"tidemark.dev/pkg/cdp"
)

// Only the machine that reads and writes disks knows what is at a path. Both of
// them answer DisksRequest -> DisksReply.
const (
	CaptureDisks = "disks" // of sources
	JournalDisks = "disks" // of replicas
)

// DisksRequest asks what is at some paths. Nothing is changed.
type DisksRequest struct {
	// Target is the site that asks.
	Target cdp.Site `json:"target"`
	// Paths are looked at closely. Of Known only identity matters.
	Paths []string `json:"paths,omitempty"`
	// Listen are addresses to listen at: paths of sockets, or host:port.
	Listen []string `json:"listen,omitempty"`
	Known  []string `json:"known,omitempty"`
}

// Answer is the reply of a service that finds out with look what is at paths, closely or
// not.
func (r DisksRequest) Answer(look func(paths []string, closely bool) []DiskFacts) DisksReply {
	return DisksReply{Disks: append(append([]DiskFacts{}, look(r.Paths, true)...), look(r.Known, false)...)}
}

// DisksReply answers DisksRequest.
type DisksReply struct {
	// Disks are Paths and then Known, in their order, and then Listen.
	Disks []DiskFacts `json:"disks"`
	// Others are the disks of sources that capture has for other targets.
	Others []DiskUse `json:"others,omitempty"`
}

// DiskUse says that a job of a target uses a disk.
type DiskUse struct {
	Target cdp.Site `json:"target"`
	// Job is the job's name there. Only the site of the disk itself learns it.
	Job  string    `json:"job,omitempty"`
	Disk DiskFacts `json:"disk"`
}

// PathKind is what is at a path.
type PathKind string

const (
	PathMissing PathKind = "missing"
	PathFile    PathKind = "file"
	PathDevice  PathKind = "block device"
	PathFolder  PathKind = "directory"
	PathSocket  PathKind = "socket"
	PathOther   PathKind = "other" // such as a character device or a pipe
)

// DiskFacts is what one machine found at a path.
type DiskFacts struct {
	Path string   `json:"path"`
	Kind PathKind `json:"kind"`
	// ID is the same for all names of one file or device, and differs for all
	// others, of other machines too. A path where nothing is has one, too.
	ID string `json:"id"`
	// On are the IDs of the disks that it is a part of, or lies on.
	On []string `json:"on,omitempty"`
	// Of those that were looked at closely: Size in bytes, and whether it Holds
	// data. Problem is why it cannot be opened.
	Size    int64  `json:"size,omitempty"`
	Holds   bool   `json:"holds,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Outside is why the local configuration of the site does not let jobs use the
	// path or address; nothing else is said of it then.
	Outside string `json:"outside,omitempty"`
}

// Overlaps reports whether two paths mean one disk, or one means a part of the
// other.
func (f DiskFacts) Overlaps(g DiskFacts) bool {
	return f.ID != "" && f.ID == g.ID || slices.Contains(f.On, g.ID) || slices.Contains(g.On, f.ID)
}
