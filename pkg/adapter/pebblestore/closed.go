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

// closedText is what the file says of a manifest.
func closedText(manifest string, raw []byte) string {
	text := fmt.Sprintf("%s %08x", manifest, crc32.Checksum(raw, castagnoli))
	return fmt.Sprintf("%s %08x", text, crc32.Checksum([]byte(text), castagnoli))
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
	raw, err := readFile(fs, desc.ManifestFilename)
	if err != nil {
		return
	}
	f, err := fs.Create(fs.PathJoin(dir, closedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_, _ = f.Write([]byte(closedText(fs.PathBase(desc.ManifestFilename), raw)))
	_ = f.Close()
}

// closedWith is what the file says, if it is of this manifest, else "".
func closedWith(fs vfs.FS, dir, manifest string) (string, error) {
	was, err := readFile(fs, fs.PathJoin(dir, closedName))
	if err != nil || len(was) < 9 {
		return "", err
	}
	text := was[:len(was)-9]
	var name string
	if _, err := fmt.Sscan(string(text), &name); err != nil || name != manifest ||
		string(was[len(text):]) != fmt.Sprintf(" %08x", crc32.Checksum(text, castagnoli)) {
		return "", nil
	}
	return string(was), nil
}

// checkClosed refuses a manifest that is not as it was when the store was closed.
func checkClosed(fs vfs.FS, dir, manifest string) error {
	was, err := closedWith(fs, dir, fs.PathBase(manifest))
	if err != nil || was == "" {
		return nil // nothing is known
	}
	raw, err := readFile(fs, manifest)
	if err == nil && closedText(fs.PathBase(manifest), raw) != was {
		return cdp.Errorf(cdp.Corrupt, "check logs", manifest, "it is not as it was when the store was closed")
	}
	return err
}
