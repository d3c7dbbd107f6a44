package pebblestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// durableName is a file beside a database that says what became durable in it. The
// database cannot say that itself: damage in the last stretch of its log looks like
// what a crash leaves there, and is cut off without a word.
//
// At 0 is u64 the newest frame, u64 the newest that went through the log, u32
// CRC-32C of both, little endian. From durableLines on there is a line for each
// change of a point: CRC-32C of the rest in hex, a space, JSON of notedPoint. A frame
// is noted after it is durable, a point before: a frame that is noted was durable,
// and a point that is noted was wanted. Nothing needs to be synced: a file that a
// power failure left older says less, and nothing wrong. What does not fit its
// checksum says nothing.
const (
	durableName  = "durable"
	durableLines = 32
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
	end    int64
}

// stored is how far frames are stored.
type stored struct {
	frame  cdp.FrameNo // the newest
	logged cdp.FrameNo // the newest that went through the log; 0: not known
}

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
	d.putFrame()
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

func (d *durable) putFrame() {
	b := le.AppendUint64(le.AppendUint64(nil, uint64(d.newest.frame)), uint64(d.newest.logged))
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
	d.putFrame()
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

// readDurable is what the file says: how far frames were stored, as far as that is
// known, and what points became, by frame.
func readDurable(fs vfs.FS, path string) (was stored, points map[cdp.FrameNo]notedPoint) {
	points = map[cdp.FrameNo]notedPoint{}
	raw, err := readFile(fs, path)
	if err != nil || len(raw) < 20 {
		return was, points
	}
	if crc32.Checksum(raw[:16], castagnoli) == le.Uint32(raw[16:]) {
		was = stored{cdp.FrameNo(le.Uint64(raw)), cdp.FrameNo(le.Uint64(raw[8:]))}
	}
	for line := range bytes.Lines(raw[min(len(raw), durableLines):]) {
		sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		var p notedPoint
		if ok && fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) == string(sum) && json.Unmarshal(text, &p) == nil {
			points[p.Point.Frame] = p
		}
	}
	return was, points
}
