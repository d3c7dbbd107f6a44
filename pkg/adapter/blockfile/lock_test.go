package blockfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// A disk that is written has one user, whatever name it is opened by, and the next
// one gets it once that has closed it.
func TestADiskHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "disk"), filepath.Join(dir, "other")
	must(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	must(t, os.Link(path, other))
	d, err := OpenLocked(path)
	must(t, err)
	if _, err := OpenLocked(other); !cdp.Is(err, cdp.Conflict) {
		t.Error("opened twice:", err)
	}
	must(t, d.Close())
	d, err = OpenLocked(other)
	must(t, err)
	must(t, d.Close())
}

// A disk that somebody has locked as a whole is refused.
func TestALockedDiskIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	if _, err := OpenLocked(path); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
}

// QEMU is kept off a disk that we write, until it is closed; an image that QEMU writes
// is refused.
func TestQEMUAndWeDoNotWriteOneDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	qemu := func(args ...string) *exec.Cmd { return exec.Command("qemu-io", append(args, "-f", "raw", path)...) }
	d, err := OpenLocked(path)
	must(t, err)
	if out, err := qemu("-c", "write -P 7 0 512").CombinedOutput(); err == nil || !strings.Contains(string(out), "lock") {
		t.Errorf("%v %s", err, out)
	}
	must(t, d.Close())
	if out, err := qemu("-c", "write -P 7 0 512").CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
	c := qemu()
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	defer c.Wait()
	defer in.Close()
	_, err = in.Write([]byte("write -P 8 0 512\n"))
	must(t, err)
	for said := ""; !strings.Contains(said, "wrote"); { // it has the image open now
		b := make([]byte, 256)
		n, err := out.Read(b)
		must(t, err)
		said += string(b[:n])
	}
	if _, err := OpenLocked(path); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
}
