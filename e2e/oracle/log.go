package oracle

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

const (
	magic      = 0x6a736677736872
	version    = 1
	superBytes = 28
	entryBytes = 32
)

// Flags of an entry.
type Flags uint64

const (
	Flush   Flags = 1 << iota // what completed before is durable
	FUA                       // this write is durable
	Discard                   // the range has no content any more
	Mark                      // a name in the log, no write

	allFlags = Flush | FUA | Discard | Mark
)

// Entry is one logged operation.
type Entry struct {
	Offset int64 // on the disk, in bytes
	Length int64 // in bytes; 0 for flushes and marks
	Flags  Flags
	data   int64 // where in the log the data is
}

// IsWrite tells whether the entry has data.
func (e Entry) IsWrite() bool { return e.Length > 0 && e.Flags&(Discard|Mark) == 0 }

// Log is an open write log. It does not follow a log that grows.
type Log struct {
	f           *os.File
	SectorBytes int64
	Recorded    int     // entries the super block counts: what QEMU has vouched for
	Entries     []Entry // all entries, in order; len(Entries) >= Recorded
}

// ErrNotLog is a file that has no super block of a write log.
var ErrNotLog = errors.New("not a write log")

// Open reads the log's structure and leaves the data in the file. Close it.
func Open(path string) (*Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	l := &Log{f: f}
	if err := l.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("oracle: %s: %w", path, err)
	}
	return l, nil
}

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }

func (l *Log) read() error {
	st, err := l.f.Stat()
	if err != nil {
		return err
	}
	var super [superBytes]byte
	if _, err := l.f.ReadAt(super[:], 0); err != nil {
		return fmt.Errorf("%w: %w", ErrNotLog, err)
	}
	le := binary.LittleEndian
	if le.Uint64(super[0:]) != magic || le.Uint64(super[8:]) != version {
		return fmt.Errorf("%w: magic %#x version %d", ErrNotLog, le.Uint64(super[0:]), le.Uint64(super[8:]))
	}
	recorded := le.Uint64(super[16:])
	l.SectorBytes = int64(le.Uint32(super[24:]))
	if l.SectorBytes < 512 || l.SectorBytes&(l.SectorBytes-1) != 0 {
		return fmt.Errorf("%w: sector size %d", ErrNotLog, l.SectorBytes)
	}
	// An overlong count must not look like a log that ends early.
	if recorded > uint64(st.Size()/l.SectorBytes) {
		return fmt.Errorf("%w: %d entries in a file of %d bytes", ErrNotLog, recorded, st.Size())
	}
	l.Recorded = int(recorded)
	for at := l.SectorBytes; ; {
		e, next, ok := l.entry(at, st.Size())
		if !ok {
			break
		}
		l.Entries = append(l.Entries, e)
		at = next
	}
	if len(l.Entries) < l.Recorded {
		return fmt.Errorf("entry %d of %d is damaged", len(l.Entries), l.Recorded)
	}
	return nil
}

// entry decodes the entry at a place in the log. It is not ok when there is
// none: zeroes, nonsense, or data that the file has not got.
func (l *Log) entry(at, size int64) (e Entry, next int64, ok bool) {
	var b [entryBytes]byte
	if _, err := l.f.ReadAt(b[:], at); err != nil {
		return e, 0, false
	}
	le := binary.LittleEndian
	sector, sectors, flags := le.Uint64(b[0:]), le.Uint64(b[8:]), Flags(le.Uint64(b[16:]))
	const most = 1 << 40 // sectors; keeps the products below within an int64
	if flags&^allFlags != 0 || sector > most || sectors > most || (sectors == 0 && flags == 0) {
		return e, 0, false
	}
	e = Entry{Offset: int64(sector) * l.SectorBytes, Length: int64(sectors) * l.SectorBytes, Flags: flags}
	next = at + l.SectorBytes
	if e.IsWrite() {
		e.data = next
		next += e.Length
	}
	return e, next, next <= size
}

// Data reads the data of a write. It is empty for other entries.
func (l *Log) Data(e Entry) ([]byte, error) {
	if !e.IsWrite() {
		return nil, nil
	}
	b := make([]byte, e.Length)
	if _, err := l.f.ReadAt(b, e.data); err != nil {
		return nil, fmt.Errorf("oracle: read log: %w", err)
	}
	return b, nil
}

// Sum is the SHA-256 of Data.
func (l *Log) Sum(e Entry) ([sha256.Size]byte, error) {
	b, err := l.Data(e)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(b), nil
}

// Writes counts the entries with data.
func (l *Log) Writes() int {
	n := 0
	for _, e := range l.Entries {
		if e.IsWrite() {
			n++
		}
	}
	return n
}
