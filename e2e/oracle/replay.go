package oracle

import (
	"fmt"
	"os"
)

// ReplayPrefix applies the log's first n entries to image, which is a copy of
// the base image (or has fewer of them applied: replay is idempotent from any
// shorter prefix). n is at most len(Entries).
func (l *Log) ReplayPrefix(image string, n int) error { return l.Replay(image, 0, n, nil) }

// Replay applies the entries [from, to) but for those that drop, which may be
// nil, returns true for: what a product that loses writes would recover.
func (l *Log) Replay(image string, from, to int, drop func(i int, e Entry) bool) error {
	if from < 0 || from > to || to > len(l.Entries) {
		return fmt.Errorf("oracle: replay %d to %d of %d entries", from, to, len(l.Entries))
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	for i, e := range l.Entries[from:to] {
		if drop != nil && drop(from+i, e) {
			continue
		}
		err := l.pieces(e, st.Size(), func(offset int64, b []byte) error {
			_, err := f.WriteAt(b, offset)
			return err
		})
		if err != nil {
			return fmt.Errorf("oracle: replay entry %d: %w", from+i, err)
		}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	return nil
}

// pieceBytes is how much of an entry is in memory at a time.
const pieceBytes = 1 << 20

// pieces calls do with what the entry's range of a disk of size bytes holds
// afterwards, piece by piece; b is valid during the call. Entries that change
// nothing have no pieces.
func (l *Log) pieces(e Entry, size int64, do func(offset int64, b []byte) error) error {
	if e.Flags&Mark != 0 || e.Length == 0 {
		return nil
	}
	if e.Offset+e.Length > size {
		return fmt.Errorf("range %d+%d ends beyond the disk's %d bytes", e.Offset, e.Length, size)
	}
	buf := make([]byte, min(e.Length, pieceBytes))
	for at := int64(0); at < e.Length; {
		b := buf[:min(e.Length-at, pieceBytes)]
		if e.IsWrite() {
			if _, err := l.f.ReadAt(b, e.data+at); err != nil {
				return fmt.Errorf("read log: %w", err)
			}
		}
		if err := do(e.Offset+at, b); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}
