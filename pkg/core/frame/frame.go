package frame

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"tidemark.dev/pkg/cdp"
)

const (
	// HeaderSize and RecordSize are in bytes.
	HeaderSize = 128
	RecordSize = 32
	// TargetPayload is the payload, in bytes, with which a frame is full.
	TargetPayload = 512 << 10
	// MaxWrite is the longest payload of one record; longer guest writes are
	// split, each piece with a seq of its own.
	MaxWrite = 256 << 10
	// MaxPayload is the most payload a frame can hold: it takes no more once it
	// has reached TargetPayload, so one more write always fits.
	MaxPayload = TargetPayload + MaxWrite
	// MaxRecords is the most records a frame can hold.
	MaxRecords = 4096
	// MaxSize is the length of the longest frame in bytes. A Builder's payload stays a
	// sector below MaxPayload, which leaves room for a seal.
	MaxSize = HeaderSize + MaxPayload + MaxRecords*RecordSize
)

const (
	magic   = 0x31464454
	version = 1
)

// Flags say what a frame means beyond its writes.
type Flags uint16

const (
	// Consistent: the history up to this frame's last write is a state that the
	// source's disks were in. It is off during a seed or resync; no recovery point
	// may be offered there.
	Consistent Flags = 1 << iota
	// Marker: the end of this frame is a recovery point.
	Marker
	// ExtentStart: the first frame of a capturer's run.
	ExtentStart
	// Requested: somebody asked for the marker; it is not the cadence's.
	Requested
	// Digested: the table ends with the digest of the payload. Frames of older
	// versions have none.
	Digested
	// Signed: the digest is followed by the source's signature.
	Signed

	known = Consistent | Marker | ExtentStart | Requested | Digested | Signed
)

// Kind is what a record does to its range.
type Kind uint8

const (
	// Write replaces the range by the payload.
	Write Kind = 1
	// Zero makes the range read as zeros (WRITE ZEROES, TRIM).
	Zero Kind = 2
)

// Copied marks a record made by seeding or resync.
const Copied uint8 = 1

// Hash is a link of the chain that joins the frames of a group.
type Hash [32]byte

// Header is a frame's first part, decoded.
type Header struct {
	Flags      Flags
	Epoch      cdp.Epoch
	No         cdp.FrameNo
	First      cdp.Seq // seq of record 0
	Records    int
	PayloadLen int
	Opened     int64 // ns since 1970, source clock
	Sealed     int64 // ns since 1970, source clock
	// Request is the command that a marker answers; it means nothing in a frame
	// without one.
	Request    cdp.RequestID
	Prev, Hash Hash
}

// Last is the seq of the frame's last write; First-1 for an empty frame.
func (h Header) Last() cdp.Seq { return h.First + cdp.Seq(h.Records) - 1 }

// Has reports whether all of the given flags are set.
func (h Header) Has(f Flags) bool { return h.Flags&f == f }

// Time is the source time at which the frame was sealed.
func (h Header) Time() time.Time { return time.Unix(0, h.Sealed) }

// Record is one write of a frame, decoded.
type Record struct {
	Offset     int64
	Length     uint32
	Disk       cdp.DiskID
	Kind       Kind
	Flags      uint8
	PayloadOff uint32
	CRC        uint32
	Micros     uint32 // after Header.Opened
}

// End is the first byte after the record's range.
func (r Record) End() int64 { return r.Offset + int64(r.Length) }

// Frame is a parsed frame. It refers to the bytes it was parsed from; the
// caller keeps them unchanged as long as the Frame is in use.
type Frame struct {
	Header
	raw []byte
}

// Bytes is the whole frame as it goes over the bus.
func (f Frame) Bytes() []byte { return f.raw }

// Payload is the content of all writes, back to back.
func (f Frame) Payload() []byte { return f.raw[HeaderSize : HeaderSize+f.PayloadLen] }

// HeaderBytes is the encoded header.
func (f Frame) HeaderBytes() []byte { return f.raw[:HeaderSize] }

// TableBytes is the encoded table, with the seal that follows it.
func (f Frame) TableBytes() []byte { return f.raw[HeaderSize+f.PayloadLen:] }

// Record is the i-th write; its seq is First+i.
func (f Frame) Record(i int) Record { return decodeRecord(f.TableBytes()[i*RecordSize:]) }

// Data is the payload of a record; empty for zeros.
func (f Frame) Data(r Record) []byte {
	if r.Kind == Zero {
		return nil
	}
	return f.Payload()[r.PayloadOff : r.PayloadOff+r.Length]
}

var le = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the checksum of a record's payload: CRC-32C.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

func chain(header, table []byte) (h Hash) {
	d := sha256.New()
	d.Write(header[:96])
	d.Write(table)
	d.Sum(h[:0])
	return h
}

// Table is the frame's header and records. It refers to the frame's bytes.
func (f Frame) Table() Table { return Table{Header: f.Header, raw: f.TableBytes()} }
