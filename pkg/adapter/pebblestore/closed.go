package pebblestore

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// closedName is a file that says how the manifest of a store was when it was closed:
// its name and CRC-32C, and the CRC-32C of that text. Damage in the manifest's last
// record looks like what a crash leaves; with this file it is known that there was
// none. A file that a crash left is of an older manifest, and one that does not fit
// its own checksum says nothing, so it need not be synced.
const closedName = "closed"

func closedText(fs vfs.FS, manifest string) (string, error) {
	raw, err := readFile(fs, manifest)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s %08x", fs.PathBase(manifest), crc32.Checksum(raw, castagnoli))
	return fmt.Sprintf("%s %08x", text, crc32.Checksum([]byte(text), castagnoli)), nil
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// noteClosed writes the file. Without it less is known at the next start, so a failure
// is no error.
func noteClosed(fs vfs.FS, dir string) {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return
	}
	text, err := closedText(fs, desc.ManifestFilename)
	if err != nil {
		return
	}
	f, err := fs.Create(fs.PathJoin(dir, closedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_, _ = f.Write([]byte(text))
	_ = f.Close()
}

// checkClosed refuses a manifest that is not as it was when the store was closed.
func checkClosed(fs vfs.FS, dir, manifest string) error {
	was, err := readFile(fs, fs.PathJoin(dir, closedName))
	if err != nil || len(was) < 9 {
		return nil
	}
	text := was[:len(was)-9]
	var name string
	if _, err := fmt.Sscan(string(text), &name); err != nil || name != fs.PathBase(manifest) ||
		string(was[len(text):]) != fmt.Sprintf(" %08x", crc32.Checksum(text, castagnoli)) {
		return nil
	}
	now, err := closedText(fs, manifest)
	if err == nil && now != string(was) {
		return cdp.Errorf(cdp.Corrupt, "check logs", manifest, "it is not as it was when the store was closed")
	}
	return err
}
