package replica_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
)

var disks = []cdp.Disk{{ID: 0, Name: "a", Size: 3*cdp.RegionSize + 512}, {ID: 1, Name: "b", Size: cdp.RegionSize}}

// New images are created, sparse; what is written reads back, also across the
// disk's end; zeroing frees space, and IsZero reports it.
func TestNewImagesReadBack(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "sub", "a.img"), filepath.Join(dir, "b.img")}
	d, err := replica.Open(disks, paths, true)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(paths[0]); err != nil || st.Size() != disks[0].Size || st.Mode().Perm() != 0o600 {
		t.Fatal(st, err)
	}
	if !d.IsZero(0, 0, disks[0].Size) {
		t.Error("a new image is not known to be zeros")
	}
	block := bytes.Repeat([]byte{7}, cdp.BlockSize)
	last := int64(3 * cdp.RegionSize) // of this block only 512 bytes are on the disk
	for _, off := range []int64{0, cdp.RegionSize, last} {
		if err := d.WriteAt(0, block, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Zero(0, cdp.RegionSize, cdp.RegionSize); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	if d.IsZero(0, 0, cdp.BlockSize) || !d.IsZero(0, cdp.RegionSize, cdp.RegionSize) {
		t.Errorf("IsZero of a hole and of data: %v %v", d.IsZero(0, 0, cdp.BlockSize), d.IsZero(0, cdp.RegionSize, cdp.RegionSize))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = replica.Open(disks, paths, false); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for off, want := range map[int64]byte{0: 7, cdp.RegionSize: 0, last: 7} {
		got := bytes.Repeat([]byte{9}, cdp.BlockSize)
		if err := d.ReadAt(0, got, off); err != nil {
			t.Fatal(err)
		}
		if got[0] != want || off == last && got[512] != 0 {
			t.Errorf("at %d it reads %d", off, got[0])
		}
	}
	if st, err := os.Stat(paths[0]); err != nil || st.Size() != disks[0].Size {
		t.Error("a write over the end made the image longer", st.Size(), err)
	}
}

// An image that holds something, that is too short, or that is missing, is
// refused by name, and left as it is.
func TestForeignImagesAreRefusedAndUnchanged(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "b.img")
	for name, c := range map[string]struct {
		make  func(path string) error
		fresh bool
		kind  cdp.Kind
	}{
		"holds data":     {func(p string) error { return os.WriteFile(p, make([]byte, disks[0].Size), 0o600) }, true, cdp.Conflict},
		"too short":      {func(p string) error { return os.WriteFile(p, make([]byte, 512), 0o600) }, false, cdp.Invalid},
		"missing":        {func(p string) error { return nil }, false, cdp.NotFound},
		"is a directory": {func(p string) error { return os.Mkdir(p, 0o700) }, true, ""},
	} {
		path := filepath.Join(dir, "a.img")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		d, err := replica.Open(disks, []string{path, other}, c.fresh)
		if err == nil {
			d.Close()
			t.Fatalf("%s: accepted", name)
		}
		if c.kind != "" && cdp.KindOf(err) != c.kind {
			t.Errorf("%s: %s error: %v", name, cdp.KindOf(err), err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: it was changed", name)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Where the file system has no holes, as vfat and ramfs, a new image is taken all the
// same. Needs root.
func TestNewImagesWhereThereAreNoHoles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	dir := t.TempDir()
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	paths := []string{filepath.Join(dir, "a.img"), filepath.Join(dir, "b.img")}
	if err := os.WriteFile(paths[1], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := replica.Open(disks, paths, true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	block := bytes.Repeat([]byte{7}, cdp.BlockSize)
	if err := d.WriteAt(0, block, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Zero(0, 0, 512); err != nil {
		t.Fatal(err)
	}
	if err := d.ReadAt(0, block, 0); err != nil || block[511] != 0 || block[512] != 7 {
		t.Error(block[510:514], err)
	}
}

// A replica has one journal, whatever name it is opened by.
func TestAReplicaIsOpenedOnce(t *testing.T) {
	dir := t.TempDir()
	paths, others := []string{filepath.Join(dir, "a.img"), filepath.Join(dir, "b.img")}, []string{filepath.Join(dir, "c.img"), filepath.Join(dir, "d.img")}
	d, err := replica.Open(disks, paths, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		if err := os.Link(paths[i], others[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, fresh := range []bool{true, false} {
		if _, err := replica.Open(disks, others, fresh); !cdp.Is(err, cdp.Conflict) {
			t.Error(fresh, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = replica.Open(disks, others, false); err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// A path was free of links when it was checked. One that is there now leads to somebody
// else's file.
func TestAReplicaBehindALinkIsRefused(t *testing.T) {
	dir, theirs := t.TempDir(), t.TempDir()
	paths := []string{filepath.Join(dir, "a.img"), filepath.Join(dir, "sub", "b.img")}
	for link, to := range map[string]string{paths[0]: filepath.Join(theirs, "a.img"), filepath.Dir(paths[1]): theirs} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(theirs, "a.img"), nil, 0o600); err != nil { // empty, as a new replica may be
		t.Fatal(err)
	}
	for i, path := range paths {
		for _, fresh := range []bool{true, false} {
			if d, err := replica.Open(disks[i:i+1], []string{path}, fresh); err == nil {
				d.Close()
				t.Errorf("%s was opened", path)
			}
		}
	}
	if st, err := os.Stat(filepath.Join(theirs, "a.img")); err != nil || st.Size() != 0 {
		t.Error("their file was changed:", err)
	}
	if _, err := os.Stat(filepath.Join(theirs, "b.img")); !os.IsNotExist(err) {
		t.Error("a file was made among theirs:", err)
	}
}
