package blockfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tidemark.dev/pkg/core/block"
)

// TestFileZero checks each way to zeroes, on the file system and with its help
// taken away.
func TestFileZero(t *testing.T) {
	for _, helpless := range []bool{false, true} {
		d := newDisk(t, 4<<20)
		d.noPunch.Store(helpless)
		d.noZeroRange.Store(helpless)
		ones := bytes.Repeat([]byte{1}, 4<<20)
		must(t, d.WriteAt(ones, 0, false))
		must(t, d.Zero(512, 1000, 0))
		must(t, d.Zero(1<<20, 700<<10, block.ZeroNoHole))
		must(t, d.Trim(2<<20, 1<<20, false))
		err := d.Zero(3<<20, 4096, block.ZeroFast)
		if helpless != errors.Is(err, syscall.EOPNOTSUPP) {
			t.Errorf("helpless %v: fast zero: %v", helpless, err)
		}
		want := bytes.Clone(ones)
		clear(want[512:1512])
		clear(want[1<<20 : 1<<20+700<<10])
		if !helpless {
			clear(want[2<<20 : 3<<20])
			clear(want[3<<20 : 3<<20+4096])
		}
		got := make([]byte, 4<<20)
		must(t, d.ReadAt(got, 0))
		if !bytes.Equal(got, want) {
			t.Errorf("helpless %v: content is wrong", helpless)
		}
		must(t, d.Flush())
	}
}

func TestFileShrinks(t *testing.T) {
	d := newDisk(t, 1<<20)
	must(t, os.Truncate(d.f.Name(), 4096))
	if err := d.ReadAt(make([]byte, 8192), 0); err == nil {
		t.Error("read beyond the end of a shrunken file")
	}
}

func TestOpenErrors(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir(), "/dev/null"} {
		if _, err := Open(path, true); err == nil {
			t.Errorf("opened %s", path)
		}
	}
}

// newDisk makes a sparse file of n bytes.
func newDisk(t testing.TB, n int64) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
