package robustness

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/e2e/proc"
)

// envBind makes this test binary run its arguments as on another machine: with
// other directories at some paths. Its value is from:at pairs, with commas.
const envBind = "TIDEMARK_ROBUSTNESS_BIND"

// onMachine makes a process find what is at these paths at others.
func onMachine(p *proc.Process, at map[string]string) {
	var binds []string
	for here, there := range at {
		binds = append(binds, here+":"+there)
	}
	p.Args = append([]string{os.Args[0]}, p.Args...)
	p.Env = append(p.Env, envBind+"="+strings.Join(binds, ","))
}

// elsewhere becomes the program; it returns only an error.
func elsewhere(binds string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for b := range strings.SplitSeq(binds, ",") {
		from, at, _ := strings.Cut(b, ":")
		if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", from, at, err)
		}
	}
	os.Unsetenv(envBind)
	return unix.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// needRoot fails a test that has to mount.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts file systems: run it as root")
	}
}

// smallDisk mounts a file system of some bytes until the test ends.
func smallDisk(t *testing.T, at string, size int64) {
	t.Helper()
	needRoot(t)
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
}

// ballast takes space until free bytes are left; fewer than 0: all of it.
func ballast(t *testing.T, dir string, free int64) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// At once, and again for what was freed or taken meanwhile.
	for size, tries := int64(0), 0; tries < 1000; tries++ {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		left := int64(st.Bavail)*st.Bsize - free
		if left <= 0 {
			break
		}
		if err := unix.Fallocate(int(f.Fd()), 0, size, left); err == nil {
			size += left
		}
	}
	return func() { os.Remove(path) }
}
