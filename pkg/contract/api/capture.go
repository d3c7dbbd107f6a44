package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// Capture endpoints, served by the capture service at the source site.
const (
	CaptureStatus = "status" // GroupRequest (empty group: all) -> CaptureStatusReply
	CaptureSpool  = "spool"  // Empty -> SpoolUse, counting all jobs known there
	CaptureClock  = "clock"  // ClockRequest -> ClockReply
	CaptureMarks  = "marks"  // MarksRequest -> Empty: recovery points that are due
	CaptureDrain  = "drain"  // DrainRequest -> DrainReply: closes the open frame; the last frame of a planned failover
)

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

// CaptureStatusReply answers CaptureStatus.
type CaptureStatusReply struct {
	Groups []CaptureGroup `json:"groups"`
	// Refused are the groups that should be captured and cannot be.
	Refused []CaptureRefused `json:"refused,omitempty"`
}

// MarksRequest asks for a recovery point of each of some groups, at the pace of their
// RPO. A group that is not there, or cannot make a point now, costs the others nothing:
// it makes one as soon as it can.
type MarksRequest struct {
	Marks []Mark `json:"marks"`
}

// Mark is a recovery point that is due.
type Mark struct {
	Group cdp.GroupID `json:"group"`
	Trace string      `json:"trace,omitempty"` // of the point's cycle, a W3C traceparent
}

// SpoolUse is how the disk space of a source site for frames that wait to be
// sent, its spool, is divided among the groups captured there.
type SpoolUse struct {
	Budget int64 `json:"budgetBytes"`
	Groups int   `json:"groups"`     // that have a share, or will get one
	Share  int64 `json:"shareBytes"` // of each group
	Room   int   `json:"room"`       // the most groups that can have one
}

// CaptureRefused says why a group is not captured.
type CaptureRefused struct {
	Group  cdp.GroupID `json:"group"`
	Reason string      `json:"reason"`
	Hint   string      `json:"hint,omitempty"` // what to do
}

// CaptureGroup is what capture knows of a group.
type CaptureGroup struct {
	Group cdp.GroupID `json:"group"`
	// Target is the target site of its job. Group names are unique per target.
	Target cdp.Site           `json:"target"`
	State  event.CaptureState `json:"state"`
	// Reason says why it is in State, or why no points are made although it
	// replicates. Hint says what to do.
	Reason   string      `json:"reason,omitempty"`
	Hint     string      `json:"hint,omitempty"`
	Seq      cdp.Seq     `json:"seq"`
	Durable  cdp.FrameNo `json:"durable"`
	InFlight int         `json:"inFlight"` // frames not durable yet
	// Spool is how many bytes of frames may wait at the source while the link is
	// down; what is written beyond is found and sent again later. 0: not known yet.
	Spool int64 `json:"spoolBytes,omitempty"`
	Dirty int64 `json:"dirtyBytes"`
	// Of the last seed or resync, also after it ended: Done of Total bytes have been
	// sent since Since; Verified of them were already at the target.
	Done     int64     `json:"doneBytes,omitempty"`
	Total    int64     `json:"totalBytes,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Verified int64     `json:"verifiedBytes,omitempty"`
	// Resyncs counts the resyncs since capture has the group open, by cause.
	Resyncs map[event.ResyncCause]uint64 `json:"resyncs,omitempty"`
	Exports []string                     `json:"exports"` // NBD URIs to write to
	// Clients names who is connected to them, one text for each connection.
	Clients []string   `json:"clients,omitempty"`
	Disks   []cdp.Disk `json:"disks"`
}

// DrainRequest asks for the last recovery point of a planned failover. A request
// repeated for the same run waits for the same point.
type DrainRequest struct {
	Target cdp.Site    `json:"target"` // whose group it is
	Group  cdp.GroupID `json:"group"`
	Run    string      `json:"run"`
}

// DrainReply answers CaptureDrain. Once Frame is durable, no write is missing.
type DrainReply struct {
	// Pending: the last cycle of a cbt group, or the last pass over the disks of a
	// VM that is powered off, is in progress; ask again.
	Pending bool        `json:"pending,omitempty"`
	Frame   cdp.FrameNo `json:"frame"`
	Seq     cdp.Seq     `json:"seq"`
}

// ClockRequest and ClockReply carry the four timestamps of an offset measurement:
// the client adds its own times of sending and receiving.
type ClockRequest struct {
	Sent int64 `json:"sent,omitempty"` // ns since 1970, client's clock
}

// ClockReply answers ClockRequest.
type ClockReply struct {
	Received int64 `json:"received"` // ns since 1970, server's clock
	Sent     int64 `json:"sent"`
}
