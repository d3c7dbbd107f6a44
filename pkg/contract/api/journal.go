package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// Journal endpoints, served by the journal service at the target site. Each is
// idempotent: asked again with the same input it gives the same result.
const (
	JournalStatus    = "status"       // GroupRequest (empty group: all) -> StatusReply
	JournalNewest    = "newest"       // Empty -> NewestReply: what the RPO of every group is measured by
	JournalPoints    = "points"       // PointsRequest -> PointsReply
	JournalResolve   = "resolve"      // ResolveRequest -> Resolved
	JournalCursor    = "cursor"       // GroupRequest -> Cursor
	JournalOpen      = "open"         // OpenRequest -> Export
	JournalClose     = "close"        // CloseRequest -> Empty
	JournalExports   = "exports"      // GroupRequest -> ExportsReply
	JournalHalt      = "halt"         // RunRequest -> cdp.Bounds: accepts no more writes; survives restarts
	JournalResume    = "resume"       // RunRequest -> cdp.Bounds: accepts writes again; reopens the images if they were released
	JournalMoveBase  = "move-base"    // MoveRequest -> MoveReply: starts or continues; ask again until Done
	JournalAbsorb    = "absorb"       // CloseRequest -> MoveReply: seals the journal, ends the export's connections and writes its scratch into the replica; ask again until Done
	JournalSeal      = "seal"         // RunRequest -> SealReply: the replica is the disk from now on; the group's exports are closed
	JournalEditPoint = "edit-point"   // EditPointRequest -> cdp.Point
	JournalTested    = "point-tested" // PointTestedRequest -> cdp.Point: in place of what it says of an earlier test
	JournalExpect    = "expect"       // ExpectRequest -> Empty: what the point of a command will be called
	JournalRelease   = "release"      // RunRequest -> Empty: closes the halted group's images until resume; survives restarts
	JournalFill      = "fill"         // FillRequest -> MoveReply, in bytes: ask again until Done
	JournalFillStop  = "fill-stop"    // RunRequest -> Empty: ends the run's fill; what was written stays
	JournalSums      = "sums"         // SumsRequest -> SumsReply
)

// GroupStatus is what the journal knows of a group.
type GroupStatus struct {
	Group  cdp.GroupID        `json:"group"`
	State  event.JournalState `json:"state"`
	Reason string             `json:"reason,omitempty"`
	// Hint is what to do about Reason; empty if that is not known.
	Hint string `json:"hint,omitempty"`
	// Damage is what was found damaged of store and replica; empty for nothing.
	Damage string `json:"damage,omitempty"`
	// Losses is history that was durable and was lost to damage, oldest first, as long
	// as history goes back to it.
	Losses []cdp.Loss `json:"losses,omitempty"`
	// Scrubbed is when the replica was last read as a whole and compared with its
	// checksums; zero if it was not since the service started.
	Scrubbed time.Time `json:"scrubbed,omitzero"`
	// Stuck is why the replica does not follow the journal; nil: it does.
	Stuck *Trouble `json:"stuck,omitempty"`
	// Unserved is why exports that should be open cannot be served; nil: all are.
	Unserved *Trouble `json:"unserved,omitempty"`
	// Signature is what is wrong with the source's signature of the newest point; nil:
	// nothing, or the source does not sign.
	Signature *Trouble        `json:"signature,omitempty"`
	Mode      cdp.JournalMode `json:"mode"`
	Bounds    cdp.Bounds      `json:"bounds"`
	Frame     cdp.FrameNo     `json:"frame"` // the newest durable one
	Epoch     cdp.Epoch       `json:"epoch"`
	// Received is when the newest frame became durable, on the target's clock;
	// Sealed is its source time. Zero for an empty journal.
	Received time.Time `json:"received,omitzero"`
	Sealed   time.Time `json:"sealed,omitzero"`
	// Consistent: history is complete at head, no seed or resync is in progress.
	Consistent bool       `json:"consistent"`
	Newest     *cdp.Point `json:"newest,omitempty"` // the newest recovery point
	Oldest     *cdp.Point `json:"oldest,omitempty"`
	Points     int        `json:"points"`
	Bytes      int64      `json:"bytes"` // of history on disk
	Limit      int64      `json:"limit"` // 0: none
	// History is how long the job asks to keep recovery points.
	History   time.Duration `json:"historyNanos,omitempty"`
	FreeBytes int64         `json:"freeBytes"`
	// ClockOffset is target minus source clock, ClockBound its greatest error;
	// ClockBound 0 means not measured yet.
	ClockOffset time.Duration `json:"clockOffsetNanos"`
	ClockBound  time.Duration `json:"clockBoundNanos"`
	Disks       []cdp.Disk    `json:"disks"`
	// Lock is the journal's retention lock; nil: it has none.
	Lock *RetentionLock `json:"lock,omitempty"`
}

// GroupNewest is the newest recovery point of a group. It costs next to nothing to
// know, unlike the group's status.
type GroupNewest struct {
	Group cdp.GroupID        `json:"group"`
	State event.JournalState `json:"state"`
	Frame cdp.FrameNo        `json:"frame"` // the newest durable one
	Point *cdp.Point         `json:"point,omitempty"`
	// ClockOffset is target minus source clock, ClockBound its greatest error; 0: not
	// measured yet.
	ClockOffset time.Duration `json:"clockOffsetNanos"`
	ClockBound  time.Duration `json:"clockBoundNanos"`
}

// NewestReply answers JournalNewest.
type NewestReply struct {
	Groups []GroupNewest `json:"groups"`
}

// RetentionLock is the retention lock of a journal.
type RetentionLock struct {
	For time.Duration `json:"forNanos"`
	// Left is how long the newest of what is held is held yet; 0: nothing is.
	Left time.Duration `json:"leftNanos"`
	// Deleted is the job as it was last applied, if it was deleted: the lock keeps the
	// journal, and the job can be applied again over it.
	Deleted *spec.ReplicationJob `json:"deleted,omitempty"`
}

// Trouble is something that does not work, and what to do about it.
type Trouble struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// StatusReply answers JournalStatus.
type StatusReply struct {
	Groups []GroupStatus `json:"groups"`
	// Transporter is the appliance that holds the journals; empty on any other
	// machine.
	Transporter string `json:"transporter,omitempty"`
}

// PointsPage is the most points in one reply.
const PointsPage = 2000

// PointsRequest asks for the points after frame After, oldest first, or, with
// Last, for that many of the newest, at most 2000. With Request it asks only
// for the point that answers that command: none until it is durable.
type PointsRequest struct {
	Group   cdp.GroupID   `json:"group"`
	After   cdp.FrameNo   `json:"after,omitempty"`
	Last    int           `json:"last,omitempty"`
	Request cdp.RequestID `json:"request,omitempty"`
}

// PointsReply answers JournalPoints, oldest point first.
type PointsReply struct {
	Bounds cdp.Bounds  `json:"bounds"`
	Points []cdp.Point `json:"points"`
	// More: there are points after the last one; ask again.
	More bool `json:"more,omitempty"`
}

// ResolveRequest turns what an operator typed into a seq: exactly one of Point
// (p123, latest, seq:456, or a tag) and At.
type ResolveRequest struct {
	Group cdp.GroupID `json:"group"`
	Point string      `json:"point,omitempty"`
	At    *time.Time  `json:"at,omitempty"`
	// Listen is where the disks will be served, if that is known. The request is refused
	// if the journal's machine does not serve disks there.
	Listen string `json:"listen,omitempty"`
}

// Resolved is a seq that the group can be recovered to.
type Resolved struct {
	Seq   cdp.Seq       `json:"seq"`
	Time  time.Time     `json:"time,omitzero"`
	Bound time.Duration `json:"boundNanos"`
	Point *cdp.Point    `json:"point,omitempty"` // if it is a recovery point
	// Disks are the group's disks as the source had them then: later they may be larger,
	// or others. A disk that was removed before is not among them.
	Disks []cdp.Disk `json:"disks,omitempty"`
}

// Cursor is the newest durable frame, from which a capturer continues.
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
	ID      string      `json:"id"` // a name: up to 40 lower-case letters, digits and dashes
	Seq     cdp.Seq     `json:"seq"`
	Scratch bool        `json:"scratch"`          // writable, into an overlay; else read-only
	Listen  string      `json:"listen,omitempty"` // unix path or host:port; default a unix socket in the journal's directory
	// Purpose is export, or the mode of the failover run.
	Purpose string `json:"purpose"`
	// Limit is how many bytes the scratch of all disks may take on disk; 0: no limit.
	Limit int64 `json:"limit,omitempty"`
}

// Same reports whether both ask for the same export. It keeps the limit that it was opened
// with.
func (r OpenRequest) Same(x OpenRequest) bool {
	r.Limit = x.Limit
	return r == x
}

// ForExport is the purpose of exports that belong to no failover.
const ForExport = "export"

// CloseRequest closes an export and discards its scratch. Conflict while clients are
// connected, unless Force says to disconnect them.
type CloseRequest struct {
	Group cdp.GroupID `json:"group"`
	ID    string      `json:"id"`
	Force bool        `json:"force,omitempty"`
}

// Export is an open view of a group.
type Export struct {
	ID      string       `json:"id"`
	Group   cdp.GroupID  `json:"group"`
	Seq     cdp.Seq      `json:"seq"`
	Scratch bool         `json:"scratch"`
	Purpose string       `json:"purpose"`
	Clients []string     `json:"clients,omitempty"` // who is connected, one for each connection
	Trouble string       `json:"trouble,omitempty"` // why it cannot be served now; its disks have no URI then
	Disks   []ExportDisk `json:"disks"`
	// Limit is how many bytes the scratch of all disks may take on disk, and Taken what it
	// takes now. 0: no limit, and not measured.
	Limit int64 `json:"limit,omitempty"`
	Taken int64 `json:"taken,omitempty"`
}

// Written is the size of the scratch of all disks, in bytes.
func (x Export) Written() (n int64) {
	for _, d := range x.Disks {
		n += d.Written
	}
	return n
}

// Writes is how many writes the scratch of all disks has taken.
func (x Export) Writes() (n uint64) {
	for _, d := range x.Disks {
		n += d.Writes
	}
	return n
}

// ExportDisk is one disk of an export.
type ExportDisk struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	URI  string `json:"uri"` // nbd+unix:///name?socket=... or nbd://host:port/name
	// Written is the size of the disk's scratch in bytes.
	Written int64 `json:"written"`
	// Writes is how many writes its scratch has taken.
	Writes uint64 `json:"writes,omitempty"`
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

// MoveReply is the progress of a move.
type MoveReply struct {
	Done   bool       `json:"done"`
	Bounds cdp.Bounds `json:"bounds"`
	Moved  int64      `json:"moved"` // of Total, in the move's own unit
	Total  int64      `json:"total"`
}

// FillRequest writes disks of the group as of Seq to other images. These must be
// new, because zeros are not written. Replication continues; the journal keeps Seq
// until the fill is done or stopped, across restarts. Without Paths it only keeps
// Seq, until the request comes with them.
type FillRequest struct {
	Group cdp.GroupID `json:"group"`
	Run   string      `json:"run"` // a group has one fill at a time
	Seq   cdp.Seq     `json:"seq"`
	Paths []string    `json:"paths"` // files or block devices, by disk; at least as long as the disks
	// Disks are those that Paths are for, in order; none: all of the group.
	Disks []cdp.DiskID `json:"disks,omitempty"`
}

// SumsMax is the most bytes that one SumsRequest covers, SumsBlockMin the smallest
// block.
const (
	SumsMax      = 8 << 20
	SumsBlockMin = cdp.SectorSize
)

// SumsRequest asks for checksums of a range of a disk as of the newest durable
// write.
type SumsRequest struct {
	Group cdp.GroupID `json:"group"`
	Disk  cdp.DiskID  `json:"disk"`
	Off   int64       `json:"off"`
	N     int64       `json:"n"`     // bytes, up to 8 MiB (SumsMax), within the disk
	Block int64       `json:"block"` // bytes a checksum covers; the last one may cover less
}

// SumsReply answers SumsRequest.
type SumsReply struct {
	Seq  cdp.Seq `json:"seq"`  // the write that the sums are of
	Sums []byte  `json:"sums"` // SHA-256 of each block, one after the other, 32 bytes each
}

// SealReply answers JournalSeal. From then on the disks are plain images.
type SealReply struct {
	Paths []string `json:"paths"`
}

// PointTestedRequest says what came of a test of a point.
type PointTestedRequest struct {
	Group cdp.GroupID   `json:"group"`
	Point string        `json:"point"`
	Test  cdp.PointTest `json:"test"`
}

// EditPointRequest changes a point. Nil fields are not changed. Tags replaces its
// tags, AddTags adds to them.
type EditPointRequest struct {
	Group   cdp.GroupID `json:"group"`
	Point   string      `json:"point"`
	Tags    *[]string   `json:"tags,omitempty"`
	AddTags []string    `json:"addTags,omitempty"`
	Pinned  *bool       `json:"pinned,omitempty"`
	Delete  bool        `json:"delete,omitempty"`
	// Force deletes the point even while an export shows it, which goes on to do so.
	Force bool `json:"force,omitempty"`
}

// ExpectRequest says what the point that answers a command gets when it is stored,
// however late that is, up to a day. It is sent before the command.
type ExpectRequest struct {
	Group   cdp.GroupID   `json:"group"`
	Request cdp.RequestID `json:"request"` // of the command
	Tags    []string      `json:"tags,omitempty"`
	Pinned  bool          `json:"pinned,omitempty"`
}
