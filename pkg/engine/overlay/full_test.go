package overlay

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/core/block"
)

// The map is on a full file system while the data still finds room: the worst
// case, for a store into the mapping of a hole ends the process.
func TestAFullFileSystemFailsTheWriteAndNotTheProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	small, roomy := t.TempDir(), t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	open := func(path string) (File, error) {
		beside := filepath.Join(roomy, filepath.Base(path))
		st, err := os.Stat(path)
		if err == nil {
			err = os.WriteFile(beside, nil, 0o600)
		}
		if err == nil {
			err = os.Truncate(beside, st.Size())
		}
		if err != nil {
			return nil, err
		}
		return blockfile.Open(beside, false)
	}
	const far = 512 << 20 // its bit is on another page of the map
	d, err := Open(small, "d", sparse(far+4096), open)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ones := bytes.Repeat([]byte{1}, 4096)
	if err := d.WriteAt(ones, 0, false); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(small, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the file system did not fill up: %v", err)
	}
	if err := d.WriteAt(ones, far, false); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a write on a full file system: %v, want ENOSPC", err)
	}
	if err := d.Zero(far, 4096, 0); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a zero on a full file system: %v, want ENOSPC", err)
	}
	got := make([]byte, 4096)
	if err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, ones) {
		t.Errorf("what was written before does not read back (%v)", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteAt(ones, far, false); err != nil {
		t.Errorf("a write with room again: %v", err)
	}
	if err := d.ReadAt(got, far); err != nil || !bytes.Equal(got, ones) {
		t.Errorf("it does not read back (%v)", err)
	}
}

// sparse is a disk of so many zeros.
type sparse int64

func (s sparse) Size() int64 { return int64(s) }

func (s sparse) ReadAt(p []byte, _ int64) error { clear(p); return nil }

func (s sparse) Status(_, n int64) []block.Extent {
	return []block.Extent{{Length: n, Hole: true, Zero: true}}
}
