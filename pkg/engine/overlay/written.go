package overlay

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// written is which blocks of a disk were written: a sparse file of one bit a
// block, of which the pages that hold a bit are kept in memory, too. Both cost
// nothing where nothing was written.
//
// The file is never mapped: to touch the mapping of a hole while the file system
// is full is a SIGBUS, the end of the process. A write returns the error.
type written struct {
	f     *os.File
	sync  func() error             // makes the file durable
	pages map[int64]*[pageLen]byte // by number
	// unsynced are the pages that were written since the last sync that succeeded, but
	// for those of a running one.
	unsynced map[int64]bool
	failed   bool // the last sync
}

const (
	pageLen    = 4096
	pageBlocks = 8 * pageLen // blocks that a page has bits of
)

// openWritten opens or makes the map of so many blocks.
func openWritten(path string, blocks int64) (*written, error) {
	f, err := sized(path, (blocks+pageBlocks-1)/pageBlocks*pageLen)
	if err != nil {
		return nil, err
	}
	w := &written{f: f, sync: f.Sync, pages: map[int64]*[pageLen]byte{}, unsynced: map[int64]bool{}}
	if err := w.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// load reads the pages that are no holes.
func (w *written) load() error {
	for at := int64(0); ; at += pageLen {
		data, err := w.f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing but a hole from here
			return nil
		}
		if err != nil {
			return err
		}
		at = data / pageLen * pageLen
		p := new([pageLen]byte)
		if _, err := w.f.ReadAt(p[:], at); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if *p != [pageLen]byte{} {
			w.pages[at/pageLen] = p
		}
	}
}

func (w *written) close() error { return w.f.Close() }

func (w *written) has(block int64) bool {
	p := w.pages[block/pageBlocks]
	return p != nil && p[block%pageBlocks/8]&(1<<(block%8)) != 0
}

// next is the first block after this one that may differ from it.
func (w *written) next(block int64) int64 {
	if w.pages[block/pageBlocks] == nil {
		return (block/pageBlocks + 1) * pageBlocks
	}
	return block + 1
}

// set sets the bits of the blocks from first to last. When it fails, some of
// them may be set.
func (w *written) set(first, last int64) error {
	for first <= last {
		end := min(last, (first/pageBlocks+1)*pageBlocks-1)
		if err := w.setInPage(first, end); err != nil {
			return err
		}
		first = end + 1
	}
	return nil
}

// setInPage sets bits of one page: in the file first, which may be full.
func (w *written) setInPage(first, last int64) error {
	for first <= last && w.has(first) {
		first++ // most writes are to blocks that were written before
	}
	if first > last {
		return nil
	}
	n := first / pageBlocks
	p := w.pages[n]
	if p == nil {
		p = new([pageLen]byte)
	}
	from, to := first%pageBlocks/8, last%pageBlocks/8+1
	bits := append([]byte(nil), p[from:to]...)
	for b := first; b <= last; b++ {
		bits[b%pageBlocks/8-from] |= 1 << (b % 8)
	}
	if _, err := w.f.WriteAt(bits, n*pageLen+from); err != nil {
		return err
	}
	copy(p[from:], bits)
	w.pages[n] = p
	w.unsynced[n] = true
	return nil
}

// bytes is how much was written, in whole blocks.
func (w *written) bytes() int64 {
	n := 0
	for _, p := range w.pages {
		for i := 0; i < pageLen; i += 8 {
			n += bits.OnesCount64(binary.NativeEndian.Uint64(p[i:]))
		}
	}
	return int64(n) * cdp.BlockSize
}

// beginSync is the pages that a sync is about to make durable. After one that failed
// they are written again: the kernel may have dropped them.
func (w *written) beginSync() (pages map[int64]bool, err error) {
	if w.failed {
		for n := range w.unsynced {
			if _, err := w.f.WriteAt(w.pages[n][:], n*pageLen); err != nil {
				return nil, err
			}
		}
	}
	pages, w.unsynced = w.unsynced, map[int64]bool{}
	return pages, nil
}

// endSync notes how the sync of the pages ended.
func (w *written) endSync(pages map[int64]bool, err error) {
	if w.failed = err != nil; w.failed {
		maps.Copy(w.unsynced, pages)
	}
}
