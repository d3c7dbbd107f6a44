package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/capture"
	"tidemark.dev/services/journal"
)

// A listen address that names a file, such as the disk itself, is refused by both
// services that serve disks, and the file stays.
func TestNoServiceListensInPlaceOfAFile(t *testing.T) {
	dir := t.TempDir()
	disk, where := filepath.Join(dir, "disk.img"), placesOf(t.TempDir(), "dr", nil, Allow{Sockets: []string{dir}})
	content := bytes.Repeat([]byte("data"), 1000)
	if err := os.WriteFile(disk, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (tapServers{&env{places: where}}).Serve(capture.Listen{Network: "unix", Address: disk}, nil, func(error) {}); !cdp.Is(err, cdp.Conflict) {
		t.Error("capture:", err)
	}
	if _, err := (nbdServers{places: where}).Serve(disk, []journal.ServedDisk{}); !cdp.Is(err, cdp.Conflict) {
		t.Error("journal:", err)
	}
	if now, err := os.ReadFile(disk); err != nil || !bytes.Equal(now, content) {
		t.Error("the disk was changed:", err)
	}
}
