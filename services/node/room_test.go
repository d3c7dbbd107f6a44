package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// smallDisk mounts a file system of some bytes until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

// fill fills the disk of a directory to the last byte.
func fill(t *testing.T, dir string) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// upUntilReady runs the sites of cfg until they are up, then stops them.
func upUntilReady(t *testing.T, cfg Config) error {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	return Up(ctx, cfg, nil, slog.New(slog.NewTextHandler(io.Discard, nil)), func(Started) { stop() })
}

func TestUpOnAFullDiskFailsWithTheReason(t *testing.T) {
	disk := smallDisk(t, "256m")
	cfg := Config{Dir: filepath.Join(disk, "tm"), Open: true, Sites: []SiteConfig{{Name: "dr", Listen: "127.0.0.1:0", Services: []string{subjects.Scheduler}}}}
	remove := fill(t, disk)
	err := upUntilReady(t, cfg)
	if !cdp.Is(err, cdp.Full) || !strings.Contains(err.Error(), disk) || cdp.HintOf(err) == "" {
		t.Errorf("up on a full disk: %v (hint %q), want the kind %s, the directory and a hint", err, cdp.HintOf(err), cdp.Full)
	}
	remove()
	if err := upUntilReady(t, cfg); err != nil {
		t.Errorf("up with room again: %v", err)
	}
}

func TestAJournalOnAFullDiskFailsWithTheReason(t *testing.T) {
	disk := smallDisk(t, "64m")
	fill(t, disk)
	if err := roomToStart(filepath.Join(disk, "not", "made")); !cdp.Is(err, cdp.Full) {
		t.Errorf("%v, want the kind %s", err, cdp.Full)
	}
}

// While a failover uses the reserve of the journals, the disk may be nearly full. The
// service starts again all the same, and the failover goes on.
func TestAFailoverThatUsesTheReserveSurvivesARestart(t *testing.T) {
	disk := smallDisk(t, "256m")
	site := filepath.Join(disk, "dr")
	space, err := pebblestore.OpenSpace(journalStore(site), 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	space.Restore(0)
	remove := fill(t, disk)
	if err := roomToStart(filepath.Join(site, "journal"), site); !cdp.Is(err, cdp.Full) {
		t.Errorf("a full disk with its reserve: %v, want the kind %s", err, cdp.Full)
	}
	space.Use() // leaves 16 MiB
	f, err := os.OpenFile(filepath.Join(disk, "taken"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, 4<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := roomToStart(filepath.Join(site, "journal"), site); err != nil {
		t.Errorf("with 12 MiB of the reserve left: %v", err)
	}
	fill(t, disk)
	if err := roomToStart(filepath.Join(site, "journal"), site); !cdp.Is(err, cdp.Full) {
		t.Errorf("with nothing left: %v, want the kind %s", err, cdp.Full)
	}
	remove()
	space.Restore(0)
	if err := roomToStart(filepath.Join(site, "journal"), site); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
