package pebblestore

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The reserve takes real room, is given up only where it is needed, and taken again
// only where there is enough.
func TestTheReserveIsRoomThatNobodyElseCanTake(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	s, err := OpenSpace(filepath.Join(at, "store"), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	free := func() int64 {
		n, err := s.Free()
		if err != nil {
			t.Fatal(err)
		}
		return n >> 20
	}
	if s.Restore(62 << 20); free() != 64 {
		t.Errorf("%d MiB are free; the reserve would leave too little", free())
	}
	if s.Restore(16 << 20); free() != 60 {
		t.Errorf("%d MiB are free beside a reserve of 4", free())
	}
	if s.Use(); free() != 60 {
		t.Errorf("%d MiB are free; the reserve was not needed", free())
	}
	ballast := filepath.Join(at, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 64<<20), 0o600) // to the last byte
	if s.Use(); free() != 4 {
		t.Errorf("%d MiB are free once a reserve of 4 was given up", free())
	}
	if s.Restore(16 << 20); free() != 4 {
		t.Errorf("%d MiB are free: the reserve was taken from a full disk", free())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if s.Restore(16 << 20); free() != 60 {
		t.Errorf("%d MiB are free beside a reserve of 4, again", free())
	}
}
