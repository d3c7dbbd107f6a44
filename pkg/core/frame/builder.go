package frame

import "crypto/sha256"

// SlotSize is how much memory a Builder needs, in bytes: room for a header, the
// longest payload, and a full table that is staged after it until the frame is
// sealed.
const SlotSize = StageAt + MaxRecords*RecordSize

// StageAt is where in the slot the records are staged, 32 bytes each: past the longest
// sealed frame, so that sealing never overwrites what it was made from.
const StageAt = MaxSize

// Builder collects writes into a frame in memory its user supplies, so that the
// memory can be shared with, and outlive, the process. Nothing is allocated
// per write. It is not safe for concurrent use.
//
// Invariant: after every Append, records and payload describe complete writes;
// a reader of the slot that knows Records and PayloadLen can Restore it.
type Builder struct {
	slot    []byte
	records int
	payload int
}

// NewBuilder starts an empty frame in slot, which has SlotSize bytes.
func NewBuilder(slot []byte) Builder { return Builder{slot: slot[:SlotSize]} }

// Restore continues a frame that was being built in slot by a process that died.
func Restore(slot []byte, records, payload int) Builder {
	return Builder{slot: slot[:SlotSize], records: records, payload: payload}
}

// Records is how many writes were appended.
func (b *Builder) Records() int { return b.records }

// PayloadLen is how many bytes of content were appended.
func (b *Builder) PayloadLen() int { return b.payload }

// Full reports whether the frame should be sealed before more is appended.
func (b *Builder) Full() bool {
	return b.payload >= TargetPayload || b.records >= MaxRecords
}

// Next is the memory for the next write's content of n bytes, at most MaxWrite.
// Filling it before Append saves Append the copy.
func (b *Builder) Next(n int) []byte {
	at := HeaderSize + b.payload
	return b.slot[at : at+n]
}

// Append adds one write. data has r.Length bytes, or is nil for zeros; if it is
// not the memory Next gave it is copied. PayloadOff and CRC are set here.
func (b *Builder) Append(r Record, data []byte) {
	r.PayloadOff, r.CRC = uint32(b.payload), 0
	if r.Kind == Write {
		dst := b.Next(int(r.Length))
		if &dst[0] != &data[0] {
			copy(dst, data)
		}
		r.CRC = Checksum(dst)
		b.payload += int(r.Length)
	}
	encodeRecord(b.slot[StageAt+b.records*RecordSize:], r)
	b.records++
}

// Seal writes header, table and digest and returns the finished frame, which is in
// the slot. Records, PayloadLen and Hash of h are set here. Sealing again with
// another header (a new epoch, say) gives a new frame of the same writes.
func (b *Builder) Seal(h Header) Frame { return b.SealSigned(h, nil) }

// SealSigned is Seal for a frame that the source signs; with a nil signer it is Seal.
func (b *Builder) SealSigned(h Header, sign Signer) Frame {
	h.Records, h.PayloadLen = b.records, b.payload
	h.Flags = h.Flags&^Signed | Digested
	if sign != nil {
		h.Flags |= Signed
	}
	end := HeaderSize + b.payload
	table := b.slot[end : end+h.tableSize()]
	copy(table, b.slot[StageAt:StageAt+b.records*RecordSize])
	digest := sha256.Sum256(b.slot[HeaderSize:end])
	copy(table[b.records*RecordSize:], digest[:])
	encodeHeader(b.slot, h)
	h.Hash = chain(b.slot[:HeaderSize], h.hashed(table))
	copy(b.slot[96:128], h.Hash[:])
	if sign != nil {
		sign(h.Hash).encode(table[len(table)-signatureSize:])
	}
	return Frame{Header: h, raw: b.slot[:end+len(table)]}
}
