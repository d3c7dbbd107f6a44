package frame

import (
	"tidemark.dev/pkg/cdp"
)

func encodeHeader(b []byte, h Header) {
	clear(b[:HeaderSize])
	le.PutUint32(b[0:], magic)
	le.PutUint16(b[4:], version)
	le.PutUint16(b[6:], uint16(h.Flags))
	le.PutUint64(b[8:], uint64(h.Epoch))
	le.PutUint64(b[16:], uint64(h.No))
	le.PutUint64(b[24:], uint64(h.First))
	le.PutUint32(b[32:], uint32(h.Records))
	le.PutUint32(b[36:], uint32(h.PayloadLen))
	le.PutUint64(b[40:], uint64(h.Opened))
	le.PutUint64(b[48:], uint64(h.Sealed))
	le.PutUint64(b[56:], uint64(h.Request))
	copy(b[64:96], h.Prev[:])
	copy(b[96:128], h.Hash[:])
}

func bad(subject, format string, args ...any) error {
	return cdp.Errorf(cdp.Corrupt, "decode frame", subject, format, args...)
}

// ParseHeader decodes and checks the first HeaderSize bytes of a frame. The
// hash is not checked: that needs the table.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	switch {
	case len(b) < HeaderSize:
		return h, bad("header", "%d bytes, want at least %d", len(b), HeaderSize)
	case le.Uint32(b) != magic:
		return h, bad("magic", "%#x, want %#x", le.Uint32(b), uint32(magic))
	case le.Uint16(b[4:]) != version:
		return h, bad("version", "%d, want %d", le.Uint16(b[4:]), version)
	}
	h = Header{
		Flags:      Flags(le.Uint16(b[6:])),
		Epoch:      cdp.Epoch(le.Uint64(b[8:])),
		No:         cdp.FrameNo(le.Uint64(b[16:])),
		First:      cdp.Seq(le.Uint64(b[24:])),
		Records:    int(le.Uint32(b[32:])),
		PayloadLen: int(le.Uint32(b[36:])),
		Opened:     int64(le.Uint64(b[40:])),
		Sealed:     int64(le.Uint64(b[48:])),
		Request:    cdp.RequestID(le.Uint64(b[56:])),
		Prev:       Hash(b[64:96]),
		Hash:       Hash(b[96:128]),
	}
	switch {
	case h.Flags&^known != 0:
		return h, bad("flags", "%#x has unknown bits: a newer version sent it", uint16(h.Flags))
	case h.Has(Signed) && !h.Has(Digested):
		return h, bad("flags", "%#x: signed without a digest", uint16(h.Flags))
	case h.No == 0:
		return h, bad("frame number", "0")
	case h.First == 0:
		return h, bad("first seq", "0")
	case h.Records > MaxRecords:
		return h, bad("records", "%d, at most %d", h.Records, MaxRecords)
	case h.PayloadLen > MaxPayload:
		return h, bad("payload", "%d bytes, at most %d", h.PayloadLen, MaxPayload)
	}
	return h, nil
}

// Parse decodes a whole frame and checks everything about it but the content
// of its payload: lengths, every record's bounds, the hash. The returned Frame
// refers to b.
func Parse(b []byte) (Frame, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Frame{}, err
	}
	if want := h.size(); len(b) != want {
		return Frame{}, bad("length", "%d bytes, the header says %d", len(b), want)
	}
	f := Frame{Header: h, raw: b}
	if err := checkTable(h, f.TableBytes()); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// Table is a frame without its payload: header, records and seal.
type Table struct {
	Header
	raw []byte
}

// Record is the i-th write; its seq is First+i.
func (t Table) Record(i int) Record { return decodeRecord(t.raw[i*RecordSize:]) }

// ParseTable decodes a stored header and table, without the payload, and
// checks them as Parse does.
func ParseTable(header, table []byte) (Table, error) {
	h, err := ParseHeader(header)
	if err != nil {
		return Table{}, err
	}
	if len(table) != h.tableSize() {
		return Table{}, bad("table", "%d bytes, the header says %d records", len(table), h.Records)
	}
	if err := checkTable(h, table); err != nil {
		return Table{}, err
	}
	return Table{Header: h, raw: table}, nil
}

func checkTable(h Header, table []byte) error {
	var header [HeaderSize]byte
	encodeHeader(header[:], h)
	if chain(header[:], h.hashed(table)) != h.Hash {
		return bad("hash", "does not match the content")
	}
	next := uint32(0)
	for i := range h.Records {
		r := decodeRecord(table[i*RecordSize:])
		switch {
		case r.Kind != Write && r.Kind != Zero:
			return bad("record", "%d: unknown kind %d", i, r.Kind)
		case r.Length == 0 || r.Length%cdp.SectorSize != 0 || r.Offset < 0 || r.Offset%cdp.SectorSize != 0:
			return bad("record", "%d: offset %d, length %d: not whole sectors", i, r.Offset, r.Length)
		case r.End() < r.Offset:
			return bad("record", "%d: range overflows", i)
		case r.Kind == Zero:
			continue
		case r.Length > MaxWrite || r.PayloadOff != next || int(r.PayloadOff+r.Length) > h.PayloadLen:
			return bad("record", "%d: payload at %d+%d of %d", i, r.PayloadOff, r.Length, h.PayloadLen)
		}
		next = r.PayloadOff + r.Length
	}
	if int(next) != h.PayloadLen {
		return bad("payload", "%d bytes, the records use %d", h.PayloadLen, next)
	}
	return nil
}

// Verify checks the payload of every record against its checksum. That finds
// accidents; see Table.Proves for the rest.
func (f Frame) Verify() error {
	for i := range f.Records {
		r := f.Record(i)
		if r.Kind == Write && Checksum(f.Data(r)) != r.CRC {
			return bad("record", "%d of frame %d: checksum does not match", i, f.No)
		}
	}
	return nil
}

func encodeRecord(b []byte, r Record) {
	le.PutUint64(b[0:], uint64(r.Offset))
	le.PutUint32(b[8:], r.Length)
	le.PutUint16(b[12:], uint16(r.Disk))
	b[14], b[15] = byte(r.Kind), r.Flags
	le.PutUint32(b[16:], r.PayloadOff)
	le.PutUint32(b[20:], r.CRC)
	le.PutUint32(b[24:], r.Micros)
	le.PutUint32(b[28:], 0)
}

func decodeRecord(b []byte) Record {
	return Record{
		Offset:     int64(le.Uint64(b[0:])),
		Length:     le.Uint32(b[8:]),
		Disk:       cdp.DiskID(le.Uint16(b[12:])),
		Kind:       Kind(b[14]),
		Flags:      b[15],
		PayloadOff: le.Uint32(b[16:]),
		CRC:        le.Uint32(b[20:]),
		Micros:     le.Uint32(b[24:]),
	}
}
