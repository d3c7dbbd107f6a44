package overlay

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tidemark.dev/pkg/adapter/blockfile"
)

// The map's file cannot be synced, and the kernel drops what it did not write. The next
// flush that succeeds has all of it on the disk.
func TestAFailedFlushOfTheMapHeals(t *testing.T) {
	dir := t.TempDir()
	open := func() *Disk {
		d, err := Open(dir, "d", sparse(1<<30), func(path string) (File, error) { return blockfile.Open(path, false) })
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open()
	ones := bytes.Repeat([]byte{1}, 4096)
	offs := []int64{0, 4096, 512 << 20}
	for _, off := range offs {
		if err := d.WriteAt(ones, off, false); err != nil {
			t.Fatal(err)
		}
	}
	works := d.here.sync
	d.here.sync = func() error {
		if err := errors.Join(os.Truncate(filepath.Join(dir, "d.map"), 0), os.Truncate(filepath.Join(dir, "d.map"), 32<<10)); err != nil {
			t.Error(err)
		}
		return syscall.ENOSPC
	}
	for range 2 {
		if err := d.Flush(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("flush: %v", err)
		}
	}
	d.here.sync = works
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open()
	defer d.Close()
	for _, off := range offs {
		got := make([]byte, 4096)
		if err := d.ReadAt(got, off); err != nil || !bytes.Equal(got, ones) {
			t.Errorf("byte %d on does not read back (%v)", off, err)
		}
	}
}
