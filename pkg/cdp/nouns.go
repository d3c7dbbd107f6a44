package cdp

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

const (
	// SectorSize is the smallest piece of a disk that can be written, in bytes.
	SectorSize = 512
	// BlockSize is the unit of the journal's index, in bytes.
	BlockSize = 4096
	// RegionSize is the unit in which long runs of zeros are indexed, in bytes.
	RegionSize = 1 << 20
	// SectorsPerBlock is how many sectors a block's Mask describes.
	SectorsPerBlock = BlockSize / SectorSize
	// BlocksPerRegion is how many blocks a region spans.
	BlocksPerRegion = RegionSize / BlockSize
)

// Seq numbers the writes of a protection group: 1, 2, 3 ... without gaps.
// Zero is before the first write.
type Seq uint64

// FrameNo numbers the frames of a group: 1, 2, 3 ... without gaps, across
// extents. It equals the frame's sequence in the group's JetStream stream.
type FrameNo uint64

// Epoch is the fencing number of a capturer. Every capturer takes a higher one
// than all before it; a frame of a lower epoch than one already stored is void.
type Epoch uint64

// DiskID numbers the disks of a group from 0 in the order of the job's spec.
type DiskID uint16

// Block numbers the 4 KiB blocks of a disk from 0.
type Block uint64

// Region numbers the 1 MiB regions of a disk from 0.
type Region uint64

// Region is the region that block b lies in.
func (b Block) Region() Region { return Region(b / BlocksPerRegion) }

// Offset is the first byte of block b.
func (b Block) Offset() int64 { return int64(b) * BlockSize }

// Mask says which of a block's eight 512-byte sectors a write covers; bit 0 is
// the first sector.
type Mask uint8

// FullMask covers the whole block.
const FullMask Mask = 0xFF

// GroupID names a protection group: the disks whose writes share one total
// order. It follows NameRule, so it can be part of a subject and of a path.
type GroupID string

// Site names a site: one NATS domain and what is managed through it.
type Site string

// NameRule is what names of jobs, groups and sites must look like.
const NameRule = "lower-case letters, digits and dashes, starting with a letter, at most 40 long"

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// CheckName returns an Invalid error naming field when name breaks NameRule.
func CheckName(field, name string) error {
	if nameRE.MatchString(name) {
		return nil
	}
	return Errorf(Invalid, "check name", field, "%q: must be %s", name, NameRule)
}

// Bounds are the three seqs that describe a journal.
// Invariant: Horizon <= Base <= Head.
type Bounds struct {
	// Horizon is the oldest seq the group can be brought to.
	Horizon Seq `json:"horizon"`
	// Base is the seq up to which the replica holds every write. While base is
	// being moved the replica may hold blocks of the next step already; the
	// floors then hold what they replaced.
	Base Seq `json:"base"`
	// Head is the newest write stored.
	Head Seq `json:"head"`
}

// Valid reports whether the invariant holds.
func (b Bounds) Valid() bool { return b.Horizon <= b.Base && b.Base <= b.Head }

// Has reports whether s can be read from the journal.
func (b Bounds) Has(s Seq) bool { return b.Horizon <= s && s <= b.Head }

func (b Bounds) String() string {
	return fmt.Sprintf("horizon %d, base %d, head %d", b.Horizon, b.Base, b.Head)
}

// Point is a recovery point.
type Point struct {
	// Frame is the frame that carries the marker; it is the point's identity.
	Frame FrameNo `json:"frame"`
	// Seq is the last write the point includes.
	Seq Seq `json:"seq"`
	// Time is when the marker was set, on the target's clock: what the source says,
	// corrected by the measured offset, within what the target knows by itself. Times
	// of points never run backwards.
	Time time.Time `json:"time"`
	// Bound is the greatest error of Time. Zero means it was not measured.
	Bound time.Duration `json:"boundNanos"`
	// Doubtful: what the source says cannot be true, so Time is the nearest that can.
	Doubtful bool `json:"doubtful,omitempty"`
	// Ran is how long the journal had run when it stored the point. No clock step and
	// no source changes it, so retention goes by it. Zero: an older version stored it.
	Ran time.Duration `json:"ranNanos,omitempty"`
	// Requested is true for a point somebody asked for, false for the cadence.
	Requested bool `json:"requested,omitempty"`
	// Request is the command that the point answers; zero if it answers none.
	Request RequestID `json:"request,omitempty"`
	// Tags are the operator's words for the point.
	Tags []string `json:"tags,omitempty"`
	// Pinned points are kept by retention until the hard size limit.
	Pinned bool `json:"pinned,omitempty"`
	// PinnedRan is how long the journal had run when the point was pinned. Zero: it was
	// pinned when it was stored, or by an older version.
	PinnedRan time.Duration `json:"pinnedRanNanos,omitempty"`
	// Tested is the last test failover to the point that ended with a verdict; nil: none.
	Tested *PointTest `json:"tested,omitempty"`
	// Damaged: a part of what the disks held then cannot be read any more, as far as that
	// was found. It is set in lists only, and never stored.
	Damaged bool `json:"damaged,omitempty"`
}

// ID is the point's name for people: p and its frame number.
func (p Point) ID() string { return fmt.Sprintf("p%d", p.Frame) }

// Loss is history that was durable once and was lost to damage.
type Loss struct {
	// From and To are the first and the last frame that were lost. With To before From
	// no frame was, but what was before From.
	From FrameNo `json:"from"`
	To   FrameNo `json:"to"`
	// Found is when the loss was noticed.
	Found time.Time `json:"found"`
	// Why says what was damaged.
	Why string `json:"why"`
	// Points are the recovery points that went with it, as far as they are known.
	Points []Point `json:"points,omitempty"`
}

// String says what was lost: "frames 8 to 9 were lost on 2 Jan 2026 15:04:05 UTC (why),
// with the points p8 [gold], p9".
func (l Loss) String() string {
	what := fmt.Sprintf("frames %d to %d were lost", l.From, l.To)
	if l.To < l.From {
		what = fmt.Sprintf("the history before frame %d was lost", l.From)
	}
	text := fmt.Sprintf("%s, as found on %s (%s)", what, l.Found.UTC().Format("2 Jan 2006 15:04:05 MST"), l.Why)
	if len(l.Points) == 0 {
		return text + "; no recovery point was among them"
	}
	return text + ", with the recovery points " + PointNames(l.Points)
}

// PointNames names points for people: "p8 [gold], p9", and of many the first 20.
func PointNames(ps []Point) string {
	const most = 20
	var names []string
	for _, p := range ps[:min(len(ps), most)] {
		name := p.ID()
		if len(p.Tags) > 0 {
			name += " [" + strings.Join(p.Tags, " ") + "]"
		}
		names = append(names, name)
	}
	if n := len(ps) - most; n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, ", ")
}

// Disk is one disk of a group.
type Disk struct {
	ID   DiskID `json:"id"`
	Name string `json:"name"`
	// Size in bytes, a multiple of 512.
	Size int64 `json:"size"`
}

// Blocks is how many blocks the disk has, the last of which may be partial.
func (d Disk) Blocks() Block { return Block((d.Size + BlockSize - 1) / BlockSize) }
