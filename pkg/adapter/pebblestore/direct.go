package pebblestore

import (
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// directChunk is how much is written at once, in bytes. There are two chunks: one
// is filled while the other is written.
const directChunk = 1 << 20

// aligned is memory that may be handed to the disk directly.
func aligned(n int) []byte {
	const page = 4096
	b := make([]byte, n+page)
	skip := (page - int(uintptr(unsafe.Pointer(&b[0]))%page)) % page
	return b[skip : skip+n : skip+n]
}

// probeDirect finds out whether files in dir can be written past the page
// cache.
func probeDirect(dir string) bool {
	path := filepath.Join(dir, bulkPrefix+"probe")
	defer os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|unix.O_DIRECT, 0o600)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.WriteAt(aligned(4096), 0)
	return err == nil
}

// directFile is a write-only file that bypasses the page cache, for tables that
// are read much later, if ever. It has only the methods that a table's writer uses.
type directFile struct {
	vfs.File // nil: a call of any other method is a defect and panics
	f        *os.File
	path     string
	buf      []byte     // the chunk being filled
	off      int64      // where it goes
	chunks   *sync.Pool // where the chunks come from and go to
	free     chan []byte
	full     chan []byte
	written  chan error // closed by the writer, with its error before
}

// newChunks is a pool of *[]byte for createDirect.
func newChunks() *sync.Pool {
	return &sync.Pool{New: func() any { b := aligned(directChunk); return &b }}
}

func createDirect(path string, chunks *sync.Pool) (vfs.File, error) {
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL|unix.O_DIRECT, 0o600)
	if err != nil {
		return nil, err
	}
	d := &directFile{f: f, path: path, chunks: chunks, free: make(chan []byte, 2), full: make(chan []byte, 2), written: make(chan error, 1)}
	d.free <- (*chunks.Get().(*[]byte))[:0]
	d.buf = (*chunks.Get().(*[]byte))[:0]
	go d.write(d.full)
	return d, nil
}

// write writes full chunks in order until full is closed.
func (d *directFile) write(full <-chan []byte) {
	var off int64
	var err error
	for b := range full {
		if err == nil {
			_, err = d.f.WriteAt(b, off)
		}
		off += int64(len(b))
		d.free <- b[:0]
	}
	d.written <- err
}

func (d *directFile) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		m := copy(d.buf[len(d.buf):cap(d.buf)], p)
		d.buf, p = d.buf[:len(d.buf)+m], p[m:]
		if len(d.buf) == cap(d.buf) {
			d.full <- d.buf
			d.off += int64(len(d.buf))
			d.buf = <-d.free
		}
	}
	return n, nil
}

// finish writes the rest, padded to whole pages, and cuts the padding off.
func (d *directFile) finish() error {
	if d.full == nil {
		return nil
	}
	close(d.full)
	d.full = nil
	err := <-d.written
	if n := len(d.buf); n > 0 && err == nil {
		b := d.buf[:(n+4095)&^4095]
		clear(b[n:])
		if _, err = d.f.WriteAt(b, d.off); err == nil {
			err = d.f.Truncate(d.off + int64(n))
		}
		d.off += int64(n)
	}
	for _, b := range [][]byte{d.buf, <-d.free} {
		b = b[:cap(b)]
		d.chunks.Put(&b)
	}
	d.buf = nil
	return err
}

// Sync ends the file: nothing can be written after it.
func (d *directFile) Sync() error {
	err := d.finish()
	if e := d.f.Sync(); err == nil {
		err = e
	}
	return err
}

func (d *directFile) Close() error {
	err := d.finish()
	if e := d.f.Close(); err == nil {
		err = e
	}
	return err
}

func (d *directFile) SyncData() error                { return d.Sync() }
func (d *directFile) SyncTo(int64) (bool, error)     { return false, nil }
func (d *directFile) Prefetch(int64, int64) error    { return nil }
func (d *directFile) Preallocate(int64, int64) error { return nil }
func (d *directFile) Fd() uintptr                    { return vfs.InvalidFd }
func (d *directFile) Stat() (vfs.FileInfo, error)    { return vfs.Default.Stat(d.path) }
