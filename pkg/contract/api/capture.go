package api

import "tidemark.dev/pkg/cdp"

// Endpoints of capture by which the client of a tapped disk says how far it is:
// DiskRequest -> Empty.
const (
	CaptureCopyStarted = "copy-started" // a full copy begins; it covers what was missed before
	CaptureSynced      = "synced"       // it is complete; Conflict: writes were missed meanwhile
	CaptureLive        = "live"         // from now on capture sees every write (a VM's disks)
	CaptureUnlive      = "unlive"       // soon it sees none
)

// DiskRequest names a disk of a group.
type DiskRequest struct {
	Group cdp.GroupID `json:"group"`
	Disk  string      `json:"disk"`
}
