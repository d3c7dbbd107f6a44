package journal

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A failover of a plan has a long name, and the site's directory is deep: its disks are
// served all the same, at the same address after a restart, and the socket goes with
// the export.
func TestAnExportWithALongNameIsServed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 16))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 93)
	w.mustSend(5)
	open := api.OpenRequest{Group: "g", ID: strings.Repeat("r", 40), Seq: s.head(), Scratch: true, Purpose: "production"}
	e := must[api.Export](s, api.JournalOpen, open)
	s.checkExport(w.m, open.Seq, e)
	s.restart(cdp.Rollback)
	again := must[api.Export](s, api.JournalOpen, open)
	s.checkExport(w.m, open.Seq, again)
	if again.Disks[0].URI != e.Disks[0].URI {
		t.Errorf("served at %s, and after a restart at %s", e.Disks[0].URI, again.Disks[0].URI)
	}
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: open.ID, Force: true})
	if left := socketsIn(t, s.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// socketsIn are the sockets below a directory.
func socketsIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type() == fs.ModeSocket {
			found = append(found, path)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}
