package pebblestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// durableName is a file beside a database that says what became durable in it. The
// database cannot say that itself: damage in the last stretch of its log looks like
// what a crash leaves there, and is cut off without a word.
//
// At 0 is u64 the newest frame, u64 the newest that went through the log, u64 number
// and u64 size of the manifest when it was last written, u32 CRC-32C of all that,
// little endian. From durableLines on there is a line for each
// change of a point: CRC-32C of the rest in hex, a space, JSON of notedPoint. A frame
// is noted after it is durable, a point before: a frame that is noted was durable,
// and a point that is noted was wanted. Nothing needs to be synced: a file that a
// power failure left older says less, and nothing wrong. What does not fit its
// checksum says nothing.
const (
	durableName  = "durable"
	durableHead  = 32
	durableLines = 64
	durableMost  = 1 << 20 // then the file is begun again
)

// notedPoint is what a point became.
type notedPoint struct {
	Point cdp.Point `json:"point"`
	Gone  bool      `json:"gone,omitempty"` // only Point.Frame is set
}

// durable is the open file. Its methods may be called from any goroutine. What
// cannot be noted is not known after a crash, so a failure is no error.
type durable struct {
	fs   vfs.FS
	path string

	mu     sync.Mutex
	f      vfs.File // nil: closed
	newest stored
	at     manifest
	copied copied
	end    int64
}

// stored is how far frames are stored.
type stored struct {
	frame  cdp.FrameNo // the newest
	logged cdp.FrameNo // the newest that went through the log; 0: not known
}

// manifest is how far a manifest was written.
type manifest struct{ no, size uint64 }

// begin makes the file new, with the newest frame of the database.
func (d *durable) begin(fs vfs.FS, path string, newest cdp.FrameNo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fs, d.path, d.newest = fs, path, stored{frame: newest}
	d.renew()
}

// renew replaces the file. The caller holds mu.
func (d *durable) renew() {
	d.shut()
	if f, err := d.fs.Create(d.path, vfs.WriteCategoryUnspecified); err != nil || f.Close() != nil {
		return
	}
	f, err := d.fs.OpenReadWrite(d.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	d.f, d.end = f, durableLines
	d.putHead()
}

func (d *durable) shut() {
	if d.f != nil {
		_ = d.f.Close()
		d.f = nil
	}
}

func (d *durable) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut()
}

func (d *durable) putHead() {
	var b []byte
	for _, n := range []uint64{uint64(d.newest.frame), uint64(d.newest.logged), d.at.no, d.at.size} {
		b = le.AppendUint64(b, n)
	}
	_, _ = d.f.WriteAt(le.AppendUint32(b, crc32.Checksum(b, castagnoli)), 0)
}

// frames notes that frames up to no are durable, and how that one was stored.
func (d *durable) frames(no cdp.FrameNo, logged bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if no <= d.newest.frame || d.f == nil {
		return
	}
	if d.newest.frame = no; logged {
		d.newest.logged = no
	}
	d.putHead()
}

// wroteManifest notes how far the manifest of a database is written, and copies it.
func (d *durable) wroteManifest(fs vfs.FS, dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, err := findManifest(fs, dir, d.at)
	if err != nil {
		return
	}
	if d.at = at; d.f != nil {
		d.putHead()
	}
	_ = d.copied.follow(fs, dir, at) // without a copy damage costs more
}

// findManifest is how far the manifest of a database is whole, which it was before up
// to was: a write that failed may have left a part of a record at its end.
func findManifest(fs vfs.FS, dir string, was manifest) (at manifest, err error) {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return at, err
	}
	if _, err := fmt.Sscanf(fs.PathBase(desc.ManifestFilename), "MANIFEST-%d", &at.no); err != nil {
		return at, err
	}
	from := uint64(0)
	if at.no == was.no {
		from = was.size / logBlock * logBlock
	}
	f, err := fs.Open(desc.ManifestFilename)
	if err != nil {
		return at, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || uint64(st.Size()) < from {
		return at, err
	}
	raw := make([]byte, uint64(st.Size())-from)
	if _, err := f.ReadAt(raw, int64(from)); err != nil && err != io.EOF {
		return at, err
	}
	at.size = from + uint64(wholeUntil(raw, manifestFormat{}))
	return at, nil
}

// points notes what points are about to become.
func (d *durable) points(ps []notedPoint) {
	if len(ps) == 0 {
		return
	}
	var lines []byte
	for _, p := range ps {
		raw, err := json.Marshal(p)
		if err != nil {
			return
		}
		lines = fmt.Appendf(lines, "%08x %s\n", crc32.Checksum(raw, castagnoli), raw)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.f == nil {
		return
	}
	if d.end+int64(len(lines)) > durableMost {
		if d.renew(); d.f == nil {
			return
		}
	}
	if _, err := d.f.WriteAt(lines, d.end); err == nil {
		d.end += int64(len(lines))
	}
}

// readDurable is what the file says: how far frames were stored and the manifest was
// written, as far as that is known, and what points became, by frame.
func readDurable(fs vfs.FS, path string) (was stored, at manifest, points map[cdp.FrameNo]notedPoint) {
	points = map[cdp.FrameNo]notedPoint{}
	raw, err := readFile(fs, path)
	if err != nil || len(raw) < durableHead+4 {
		return was, at, points
	}
	if crc32.Checksum(raw[:durableHead], castagnoli) == le.Uint32(raw[durableHead:]) {
		was = stored{cdp.FrameNo(le.Uint64(raw)), cdp.FrameNo(le.Uint64(raw[8:]))}
		at = manifest{le.Uint64(raw[16:]), le.Uint64(raw[24:])}
	}
	for line := range bytes.Lines(raw[min(len(raw), durableLines):]) {
		sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		var p notedPoint
		if ok && fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) == string(sum) && json.Unmarshal(text, &p) == nil {
			points[p.Point.Frame] = p
		}
	}
	return was, at, points
}
