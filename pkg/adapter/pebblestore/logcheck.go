package pebblestore

import (
	"errors"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"regexp"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// checkLogs refuses a manifest or a write-ahead log that is damaged before its end.
// Pebble would replay either up to the damage and go on from there; and with an
// older manifest it would delete every table that this state does not name. A torn
// end is what a crash leaves, and is no damage.
func checkLogs(fs vfs.FS, dir string) error {
	const op = "check logs"
	desc, err := pebble.Peek(dir, fs)
	if err != nil {
		return err
	}
	if !desc.Exists {
		return cdp.Errorf(cdp.Corrupt, op, dir, "the file that names the manifest is gone")
	}
	if err := checkLog(fs, desc.ManifestFilename, manifestFormat{}); err != nil {
		return err
	}
	if err := checkManifestEnd(fs, dir, desc.ManifestFilename); err != nil {
		return err
	}
	if err := checkClosed(fs, dir, desc.ManifestFilename); err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		m := walName.FindStringSubmatch(n)
		if m == nil {
			continue
		}
		no, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			continue
		}
		if err := checkLog(fs, fs.PathJoin(dir, n), walFormat{uint32(no)}); err != nil {
			return err
		}
	}
	return nil
}

// checkManifestEnd refuses a manifest whose last records are damaged, and were durable
// once. Nothing in it proves that, so it would be taken for what a crash leaves, and
// the tables that they name would be deleted.
func checkManifestEnd(fs vfs.FS, dir, path string) error {
	_, was, _ := readDurable(fs, fs.PathJoin(dir, durableName))
	now, err := findManifest(fs, dir, manifest{})
	if err != nil || now.no != was.no || now.size >= was.size {
		return err
	}
	st, err := fs.Stat(path)
	if err == nil && uint64(st.Size()) >= was.size {
		err = cdp.Errorf(cdp.Corrupt, "check logs", path, "it is damaged at byte %d, and was written up to byte %d", now.size, was.size)
	}
	return err
}

// wholeUntil is where the first chunk begins that is not whole.
func wholeUntil(raw []byte, format logFormat) int {
	for at := 0; at < len(raw); {
		block := raw[at:min(len(raw), (at/logBlock+1)*logBlock)]
		n := chunk(block, format)
		switch {
		case n > 0:
			at += n
		case len(block) <= format.header():
			at += len(block) // the end of a block
		default:
			return at
		}
	}
	return len(raw)
}

var walName = regexp.MustCompile(`^(\d+)\.log$`)

func checkLog(fs vfs.FS, path string, format logFormat) error {
	const op = "check logs"
	f, err := fs.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return cdp.Errorf(cdp.Corrupt, op, path, "the file is gone")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if at := firstBad(raw, format); at >= 0 {
		return cdp.Errorf(cdp.Corrupt, op, path, "it is damaged at byte %d, and what follows was written later", at)
	}
	return nil
}

// A log is filled with chunks, in blocks of 32 KiB that no chunk crosses. A chunk
// is u32 masked CRC-32C of what follows the length, u16 length, u8 type, more of
// the header in some formats, content. The end of a block that is too short for a
// chunk is empty.
const logBlock = 32 << 10

// logFormat tells one kind of log from another.
type logFormat interface {
	// header is a chunk's length without its content.
	header() int
	// ours reports whether b begins with a chunk's header of this log.
	ours(b []byte) bool
	// proves reports whether the whole chunk b shows that what is at offset bad
	// was once durable.
	proves(b []byte, bad int) bool
	// ends reports whether b begins with what closes the log.
	ends(b []byte) bool
}

// manifestFormat: each record is synced before the next is begun.
type manifestFormat struct{}

func (manifestFormat) header() int                 { return 7 }
func (manifestFormat) ours(b []byte) bool          { return b[6] >= 1 && b[6] <= 4 }
func (manifestFormat) proves(b []byte, _ int) bool { return b[6] <= 2 } // a record begins
func (manifestFormat) ends([]byte) bool            { return false }

// walFormat: the header goes on with u32 number of the log, u64 offset up to which
// it was synced when the chunk was made. A log that was closed ends with an empty
// chunk of another type and the number after its own.
type walFormat struct{ no uint32 }

func (walFormat) header() int { return 19 }

func (w walFormat) ours(b []byte) bool {
	return b[6] >= 9 && b[6] <= 12 && le.Uint32(b[7:]) == w.no
}

func (walFormat) proves(b []byte, bad int) bool {
	return b[6] <= 10 && le.Uint64(b[11:]) > uint64(bad)
}

func (w walFormat) ends(b []byte) bool {
	return len(b) >= 11 && string(b[:7]) == "\x00\x00\x00\x00\x00\x00\x05" && le.Uint32(b[7:]) == w.no+1
}

// firstBad is where the first damaged chunk is, if what follows proves that it was
// whole once, else -1.
func firstBad(raw []byte, format logFormat) int {
	bad := -1
	for at := 0; at < len(raw); {
		block := raw[at:min(len(raw), (at/logBlock+1)*logBlock)]
		n := chunk(block, format)
		switch {
		case format.ends(block):
			return bad
		case n > 0:
			if bad >= 0 && format.proves(block, bad) {
				return bad
			}
			at += n
		case len(block) <= format.header():
			at += len(block) // the end of a block
		default: // damaged: is there anything whole after it?
			if bad < 0 {
				bad = at
			}
			if at++; at%logBlock == 1 {
				at += logBlock - 1 // each block begins with a chunk
			}
		}
	}
	return -1
}

// chunk is the length of the whole chunk that b begins with, 0 if there is none.
func chunk(b []byte, format logFormat) int {
	if len(b) < format.header() || !format.ours(b) {
		return 0
	}
	n := format.header() + int(le.Uint16(b[4:]))
	if n > len(b) {
		return 0
	}
	sum := crc32.Checksum(b[6:n], castagnoli)
	if (sum>>15|sum<<17)+0xa282ead8 != le.Uint32(b) {
		return 0
	}
	return n
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
