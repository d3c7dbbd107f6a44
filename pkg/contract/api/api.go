// Package api is what Tidemark's services ask each other: the requests and
// answers of tidemark.api.v1.<site>.<service>.<endpoint>. It holds shapes, and
// how a request is read into its shape (Answer); package bus carries them as JSON.
package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// Journal endpoints, served by the journal service at the target site. Each is
// idempotent: asked again with the same input it gives the same result.
const (
	JournalStatus    = "status"     // GroupRequest (empty group: all) -> StatusReply
	JournalPoints    = "points"     // PointsRequest -> PointsReply
	JournalResolve   = "resolve"    // ResolveRequest -> Resolved
	JournalCursor    = "cursor"     // GroupRequest -> Cursor
	JournalOpen      = "open"       // OpenRequest -> Export
	JournalClose     = "close"      // CloseRequest -> Empty
	JournalExports   = "exports"    // GroupRequest -> ExportsReply
	JournalHalt      = "halt"       // RunRequest -> cdp.Bounds: takes no more writes; survives restarts
	JournalResume    = "resume"     // RunRequest -> cdp.Bounds: takes writes again, and the images, if they were released
	JournalMoveBase  = "move-base"  // MoveRequest -> MoveReply: starts or goes on; ask again until Done
	JournalAbsorb    = "absorb"     // CloseRequest -> MoveReply: writes an export's scratch into the replica; ask again until Done
	JournalSeal      = "seal"       // RunRequest -> SealReply: the replica is the disk from now on
	JournalEditPoint = "edit-point" // EditPointRequest -> cdp.Point
	JournalRelease   = "release"    // RunRequest -> Empty: lets go of the halted group's images; survives restarts; until resume
	JournalFill      = "fill"       // FillRequest -> MoveReply, in bytes: ask again until Done
	JournalFillStop  = "fill-stop"  // RunRequest -> Empty: ends the run's fill and forgets it; what was written stays
	JournalSums      = "sums"       // SumsRequest -> SumsReply
)

// Capture endpoints, served by the capture service at the source site.
const (
	CaptureStatus = "status" // GroupRequest (empty group: all) -> CaptureStatusReply
	CaptureClock  = "clock"  // ClockRequest -> ClockReply
	CaptureDrain  = "drain"  // DrainRequest -> DrainReply: seals what is open; last frame for a planned failover
)

// Empty is no answer but that it is done.
type Empty struct{}

// GroupRequest names a group; it has the name of its job.
type GroupRequest struct {
	// Target, if it is not empty, leaves out the groups of other targets' jobs.
	// Only capture has such.
	Target cdp.Site    `json:"target,omitempty"`
	Group  cdp.GroupID `json:"group,omitempty"`
}

// GroupStatus is what the journal knows of a group.
type GroupStatus struct {
	Group  cdp.GroupID        `json:"group"`
	State  event.JournalState `json:"state"`
	Reason string             `json:"reason,omitempty"`
	Mode   cdp.JournalMode    `json:"mode"`
	Bounds cdp.Bounds         `json:"bounds"`
	Frame  cdp.FrameNo        `json:"frame"` // the newest durable one
	Epoch  cdp.Epoch          `json:"epoch"`
	// Received is when the newest frame became durable, on the target's clock;
	// Sealed is its source time. Zero for an empty journal.
	Received time.Time `json:"received"`
	Sealed   time.Time `json:"sealed"`
	// Consistent is whether history is complete at head: no seed or resync is
	// under way.
	Consistent bool       `json:"consistent"`
	Newest     *cdp.Point `json:"newest,omitempty"` // the newest recovery point
	Oldest     *cdp.Point `json:"oldest,omitempty"`
	Points     int        `json:"points"`
	Bytes      int64      `json:"bytes"` // of history on disk
	Limit      int64      `json:"limit"` // 0: none
	FreeBytes  int64      `json:"freeBytes"`
	// ClockOffset is target minus source clock, ClockBound its greatest error;
	// ClockBound 0 means not measured yet.
	ClockOffset time.Duration `json:"clockOffsetNanos"`
	ClockBound  time.Duration `json:"clockBoundNanos"`
	Disks       []cdp.Disk    `json:"disks"`
}

// StatusReply answers JournalStatus.
type StatusReply struct {
	Groups []GroupStatus `json:"groups"`
	// Transporter is the name of the appliance that the journals are on; empty
	// for another machine.
	Transporter string `json:"transporter,omitempty"`
}

// PointsPage is how many points one answer holds at most.
const PointsPage = 2000

// PointsRequest asks for the points behind frame After, oldest first; or, with
// Last, for the newest so many, at most PointsPage.
type PointsRequest struct {
	Group cdp.GroupID `json:"group"`
	After cdp.FrameNo `json:"after,omitempty"`
	Last  int         `json:"last,omitempty"`
}

// PointsReply answers JournalPoints, oldest point first.
type PointsReply struct {
	Bounds cdp.Bounds  `json:"bounds"`
	Points []cdp.Point `json:"points"`
	// More is set when there are points behind the last one: ask again.
	More bool `json:"more,omitempty"`
}

// ResolveRequest asks for what a person meant: exactly one of Point (p123,
// latest, seq:456, or a tag) and At.
type ResolveRequest struct {
	Group cdp.GroupID `json:"group"`
	Point string      `json:"point,omitempty"`
	At    *time.Time  `json:"at,omitempty"`
}

// Resolved is a seq the group can be brought to.
type Resolved struct {
	Seq   cdp.Seq       `json:"seq"`
	Time  time.Time     `json:"time"`
	Bound time.Duration `json:"boundNanos"`
	Point *cdp.Point    `json:"point,omitempty"` // if it is one
}

// Cursor is where a capturer goes on.
type Cursor struct {
	Frame cdp.FrameNo `json:"frame"`
	Hash  []byte      `json:"hash,omitempty"` // 32 bytes; absent for an empty journal
	Head  cdp.Seq     `json:"head"`
	Epoch cdp.Epoch   `json:"epoch"`
}

// OpenRequest opens the group's disks at Seq as NBD exports. ID makes it
// idempotent; the exports and, with Scratch, what was written to them survive a
// restart of the journal until Close.
type OpenRequest struct {
	Group   cdp.GroupID `json:"group"`
	ID      string      `json:"id"` // a name: cdp.NameRule
	Seq     cdp.Seq     `json:"seq"`
	Scratch bool        `json:"scratch"`          // writable, into an overlay; else read-only
	Listen  string      `json:"listen,omitempty"` // unix path or host:port; default a unix socket in the journal's directory
	// Purpose is ForExport, or the mode of the failover run.
	Purpose string `json:"purpose"`
}

// ForExport is the purpose of exports that belong to no failover.
const ForExport = "export"

// CloseRequest closes exports and throws their scratch away.
type CloseRequest struct {
	Group cdp.GroupID `json:"group"`
	ID    string      `json:"id"`
}

// Export is an open view of a group.
type Export struct {
	ID      string       `json:"id"`
	Group   cdp.GroupID  `json:"group"`
	Seq     cdp.Seq      `json:"seq"`
	Scratch bool         `json:"scratch"`
	Purpose string       `json:"purpose"`
	Disks   []ExportDisk `json:"disks"`
}

// ExportDisk is one disk of an export.
type ExportDisk struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	URI  string `json:"uri"` // nbd+unix:///name?socket=... or nbd://host:port/name
	// Written is how many bytes of scratch the disk has.
	Written int64 `json:"written"`
}

// ExportsReply answers JournalExports.
type ExportsReply struct {
	Exports []Export `json:"exports"`
}

// RunRequest is a step of a failover run.
type RunRequest struct {
	Group cdp.GroupID `json:"group"`
	Run   string      `json:"run"`
}

// MoveRequest brings the replica to Seq.
type MoveRequest struct {
	Group cdp.GroupID `json:"group"`
	Run   string      `json:"run"`
	Seq   cdp.Seq     `json:"seq"`
}

// MoveReply tells how far a move is.
type MoveReply struct {
	Done   bool       `json:"done"`
	Bounds cdp.Bounds `json:"bounds"`
	Moved  int64      `json:"moved"` // of Total, in the move's own unit
	Total  int64      `json:"total"`
}

// FillRequest writes the group's disks as they stood at Seq onto other images,
// which must be new: zeros are not written. The journal goes on meanwhile, and
// keeps Seq until the fill is done or stopped, over restarts. Without Paths it
// only keeps Seq, until it is asked with them.
type FillRequest struct {
	Group cdp.GroupID `json:"group"`
	Run   string      `json:"run"` // a group has one fill at a time
	Seq   cdp.Seq     `json:"seq"`
	Paths []string    `json:"paths"` // files or block devices, by disk; at least as long as the disks
}

// SumsMax is how many bytes one SumsRequest covers at most, and SumsBlockMin how
// many a block has at least.
const (
	SumsMax      = 8 << 20
	SumsBlockMin = cdp.SectorSize
)

// SumsRequest asks for checksums of a range of a disk as it stands at the newest
// durable write.
type SumsRequest struct {
	Group cdp.GroupID `json:"group"`
	Disk  cdp.DiskID  `json:"disk"`
	Off   int64       `json:"off"`
	N     int64       `json:"n"`     // bytes, up to SumsMax, within the disk
	Block int64       `json:"block"` // bytes a checksum covers; the last one may cover less
}

// SumsReply answers SumsRequest.
type SumsReply struct {
	Seq  cdp.Seq `json:"seq"`  // what the disk stands at
	Sums []byte  `json:"sums"` // SHA-256 of each block, one after the other, 32 bytes each
}

// SealReply answers JournalSeal: the disks are plain images now.
type SealReply struct {
	Paths []string `json:"paths"`
}

// EditPointRequest changes a point. Nil fields stay as they are.
type EditPointRequest struct {
	Group  cdp.GroupID `json:"group"`
	Point  string      `json:"point"`
	Tags   *[]string   `json:"tags,omitempty"`
	Pinned *bool       `json:"pinned,omitempty"`
	Delete bool        `json:"delete,omitempty"`
}

// CaptureStatusReply answers CaptureStatus.
type CaptureStatusReply struct {
	Groups []CaptureGroup `json:"groups"`
	// Refused are those that are to be captured, and cannot be.
	Refused []CaptureRefused `json:"refused,omitempty"`
}

// CaptureRefused is why a group is not captured.
type CaptureRefused struct {
	Group  cdp.GroupID `json:"group"`
	Reason string      `json:"reason"`
	Hint   string      `json:"hint,omitempty"` // what to do
}

// CaptureGroup is what capture knows of a group.
type CaptureGroup struct {
	Group cdp.GroupID `json:"group"`
	// Target is the site whose job it is. Groups have names of their own at a
	// target only.
	Target cdp.Site           `json:"target"`
	State  event.CaptureState `json:"state"`
	// Reason is why it is in State, or why no points are made though it
	// replicates; Hint is what to do.
	Reason   string      `json:"reason,omitempty"`
	Hint     string      `json:"hint,omitempty"`
	Seq      cdp.Seq     `json:"seq"`
	Durable  cdp.FrameNo `json:"durable"`
	InFlight int         `json:"inFlight"` // frames not durable yet
	Dirty    int64       `json:"dirtyBytes"`
	// Of a seed or resync, also when it is over: Done of Total bytes were sent
	// since Since; Verified of them the target had already.
	Done     int64      `json:"doneBytes,omitempty"`
	Total    int64      `json:"totalBytes,omitempty"`
	Since    time.Time  `json:"since,omitzero"`
	Verified int64      `json:"verifiedBytes,omitempty"`
	Exports  []string   `json:"exports"` // NBD URIs to write to
	Disks    []cdp.Disk `json:"disks"`
}

// DrainRequest asks for the last point that a run goes to. Asked again for the
// same run, it is the one that is being made.
type DrainRequest struct {
	Target cdp.Site    `json:"target"` // whose group it is
	Group  cdp.GroupID `json:"group"`
	Run    string      `json:"run"`
}

// DrainReply answers CaptureDrain: once Frame is durable nothing is missing.
type DrainReply struct {
	// Pending: the last cycle of a cbt group, or the last pass over the disks of a
	// VM that is off, is under way; ask again.
	Pending bool        `json:"pending,omitempty"`
	Frame   cdp.FrameNo `json:"frame"`
	Seq     cdp.Seq     `json:"seq"`
}

// ClockRequest and ClockReply are the four timestamps of an offset measurement:
// the asker adds its own times of sending and receiving.
type ClockRequest struct {
	Sent int64 `json:"sent"` // ns since 1970, asker's clock
}

// ClockReply answers ClockRequest.
type ClockReply struct {
	Received int64 `json:"received"` // ns since 1970, answerer's clock
	Sent     int64 `json:"sent"`
}
