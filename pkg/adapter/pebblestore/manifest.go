package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"tidemark.dev/pkg/cdp"
)

// copyName is a file beside a database with a copy of its manifest, as far as that was
// durable when the copy was written: u64 number of the manifest, u32 CRC-32C of that, four
// zeros, all little endian, and then the manifest's bytes, each chunk of which has its own
// checksum. Pebble has one manifest, without which nobody knows which tables there are, and
// in which order they were written. Like the durable file it is not synced: what is missing
// at its end is taken from the manifest.
const (
	copyName = "manifest-copy"
	copyHead = 16
)

// copied is how far the manifest was copied.
type copied manifest

// follow copies what was added to the manifest of a database up to at.
func (c *copied) follow(fs vfs.FS, dir string, at manifest) error {
	from := c.size
	if c.no != at.no {
		from = 0
	}
	if from >= at.size { // less is whole now than was copied: it is damaged
		return nil
	}
	p, err := readFrom(fs, fs.PathJoin(dir, manifestName(at.no)), from, at.size)
	if err != nil {
		return err
	}
	path := fs.PathJoin(dir, copyName)
	if from == 0 {
		if err := fs.Remove(path); err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return err
		}
		head := le.AppendUint64(nil, at.no)
		p = append(append(le.AppendUint32(head, crc32.Checksum(head, castagnoli)), 0, 0, 0, 0), p...)
	} else {
		from += copyHead
	}
	*c = copied{} // until it is written
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(p, int64(from))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		*c = copied(at)
	}
	return err
}

func manifestName(no uint64) string { return fmt.Sprintf("MANIFEST-%06d", no) }

// readFrom reads a file from one offset to another.
func readFrom(fs vfs.FS, path string, from, to uint64) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, to-from)
	_, err = f.ReadAt(p, int64(from))
	return p, err
}

// readCopy is the copy of a manifest, and its number; 0 if there is none.
func readCopy(fs vfs.FS, dir string) (no uint64, p []byte) {
	raw, err := readFile(fs, fs.PathJoin(dir, copyName))
	if err != nil || len(raw) < copyHead || crc32.Checksum(raw[:8], castagnoli) != le.Uint32(raw[8:]) {
		return 0, nil
	}
	return le.Uint64(raw), raw[copyHead:]
}

// restoreManifest makes a damaged manifest whole from its copy, and the file that names it.
// It says what it did; "" if nothing was damaged, or that cannot be done, and then nothing
// has changed.
func restoreManifest(fs vfs.FS, dir string) (what string, err error) {
	no, p := readCopy(fs, dir)
	name := manifestName(no)
	desc, err := pebble.Peek(dir, fs)
	if err != nil || no == 0 {
		return "", err
	}
	if desc.Exists && fs.PathBase(desc.ManifestFilename) != name {
		return "", nil
	}
	path := fs.PathJoin(dir, name)
	raw, err := readFile(fs, path)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return "", err
	}
	if len(raw) > len(p) { // what was added after the copy was written
		p = append(p, raw[len(p):]...)
	}
	if !isWhole(fs, dir, name, p) {
		return "", nil
	}
	if !bytes.Equal(p, raw) {
		if err := putFile(fs, dir, path, p); err != nil {
			return "", err
		}
		what = "the list of the journal's tables (" + name + ") was damaged, and was restored from its copy"
	}
	if !desc.Exists {
		if err := nameManifest(fs, dir, name); err != nil {
			return "", err
		}
		what = "the file that names the list of the journal's tables was gone, and was made again"
	}
	return what, nil
}

// isWhole reports whether p is all of a manifest of this name that is known to have been
// durable.
func isWhole(fs vfs.FS, dir, name string, p []byte) bool {
	_, was, _ := readDurable(fs, fs.PathJoin(dir, durableName))
	whole := wholeUntil(p, manifestFormat{})
	if whole == 0 || firstBad(p, manifestFormat{}) >= 0 || manifestName(was.no) == name && uint64(whole) < was.size {
		return false
	}
	closed, err := closedWith(fs, dir, name)
	return err != nil || closed == "" || closed == closedText(name, p)
}

func putFile(fs vfs.FS, dir, path string, p []byte) error {
	fail := func(err error) error {
		return &cdp.Error{Op: "restore manifest", Kind: cdp.Transient, Subject: path, Cause: err}
	}
	made := path + unfinished
	f, err := fs.Create(made, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(p)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = fs.Rename(made, path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// nameManifest makes the file that names the manifest.
func nameManifest(fs vfs.FS, dir, name string) error {
	m, _, err := atomicfs.LocateMarker(fs, dir, "manifest")
	if err != nil {
		return &cdp.Error{Op: "restore manifest", Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	err = m.Move(name)
	if e := m.Close(); err == nil {
		err = e
	}
	if err != nil {
		return &cdp.Error{Op: "restore manifest", Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	return nil
}
