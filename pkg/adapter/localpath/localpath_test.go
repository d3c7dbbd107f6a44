package localpath_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatLiesInTheDirectoriesMayBeUsed(t *testing.T) {
	top := t.TempDir()
	in := func(elem ...string) string { return filepath.Join(append([]string{top}, elem...)...) }
	for _, dir := range []string{"disks/sub", "disks/own/scripts", "disk", "secret"} {
		must(t, os.MkdirAll(in(dir), 0o700))
	}
	for _, f := range []string{"disks/a", "disk/a", "secret/key", "disks/own/key", "one"} {
		must(t, os.WriteFile(in(f), nil, 0o600))
	}
	for link, to := range map[string]string{
		"disks/inward": in("disks/sub"), "disks/outward": in("secret"), "disks/file": in("secret/key"),
		"disks/dangling": in("secret/new"), "disks/circle": in("disks/circle"), "entry": in("disks"), "disks/relative": "../secret/key",
	} {
		must(t, os.Symlink(to, in(link)))
	}
	d := localpath.Dirs{For: "sources", In: []string{in("entry"), in("one"), in("disks/own/scripts"), in("later")}, Except: []string{in("disks/own")}}
	for path, want := range map[string]string{
		in("disks/a"): in("disks/a"), in("entry/a"): in("disks/a"), in("disks/new/file"): in("disks/new/file"), in("one"): in("one"),
		in("disks/inward/x"): in("disks/sub/x"), in("disks/own/scripts/x"): in("disks/own/scripts/x"), in("later/x"): in("later/x"),
		in("disks/sub/../a"): in("disks/a"),
	} {
		if got, err := d.Resolve(path); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{
		in("disk/a"), in("one/x/../../secret/key"), in("onelonger"), in("secret/key"), in("disks/outward/key"), in("disks/outward/new"), in("disks/file"),
		in("disks/relative"), in("disks/dangling"), in("disks/dangling/x"), in("disks/circle"), in("disks/own/key"), in("disks/own"), in("disks/../secret/key"),
		"/", "/etc/passwd", "/dev/null", "relative", "",
	} {
		got, err := d.Resolve(path)
		if !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if strings.Contains(path, "secret/key") && !strings.Contains(err.Error(), "sources") {
			t.Errorf("%s: the error names no rule: %v", path, err)
		}
	}
}

// A link is resolved when the path is used, not only when it was checked.
func TestALinkThatChangesIsNoticed(t *testing.T) {
	top := t.TempDir()
	in := func(name string) string { return filepath.Join(top, name) }
	must(t, os.MkdirAll(in("disks/a"), 0o700))
	must(t, os.MkdirAll(in("secret/a"), 0o700))
	must(t, os.Symlink(in("disks/a"), in("disks/link")))
	d := localpath.Dirs{For: "replicas", In: []string{in("disks")}}
	if _, err := d.Resolve(in("disks/link/file")); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(in("disks/link")))
	must(t, os.Symlink(in("secret/a"), in("disks/link")))
	if got, err := d.Resolve(in("disks/link/file")); !cdp.Is(err, cdp.Invalid) {
		t.Error(got, err)
	}
}

func TestNothingIsAllowedByDefault(t *testing.T) {
	for _, path := range []string{"/", "/etc/passwd", t.TempDir()} {
		if got, err := (localpath.Dirs{For: "sources"}).Resolve(path); err == nil {
			t.Error(path, got)
		}
	}
}

// The links that udev keeps in /dev lead to devices in other directories. They may be
// used where their own directory is allowed; links that others laid may not.
func TestLinksOfDevices(t *testing.T) {
	dir, err := os.MkdirTemp("/dev", "tidemark-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "by-id"), 0o755))
	device, link := filepath.Join(dir, "block"), filepath.Join(dir, "by-id", "wwn-0x1")
	must(t, unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(7, 250))))
	must(t, os.Symlink("../block", link))
	must(t, os.Symlink("/dev/null", link+"-null"))
	must(t, os.Symlink("/etc/passwd", link+"-file"))
	d := localpath.Dirs{For: "replicas", In: []string{filepath.Join(dir, "by-id")}}
	if got, err := d.Resolve(link); err != nil || got != device {
		t.Error(got, err)
	}
	for _, path := range []string{device, link + "-null", link + "-file"} {
		if got, err := d.Resolve(path); !cdp.Is(err, cdp.Invalid) {
			t.Error(path, got, err)
		}
	}
	must(t, os.Chmod(filepath.Join(dir, "by-id"), 0o777))
	if got, err := d.Resolve(link); !cdp.Is(err, cdp.Invalid) {
		t.Error("in a directory that everybody may write to:", got, err)
	}
}
