package nbd

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// What is not a socket that nobody uses stays as it was, byte for byte, and the
// error says that it is in the way.
func TestListeningReplacesNothingButAnUnusedSocket(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "disk.img")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(file, []byte("a disk"), 0o600))
	must(os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	must(os.Symlink(file, filepath.Join(dir, "link")))
	must(os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "dangling")))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	served, err := net.Listen("unix", filepath.Join(dir, "served"))
	must(err)
	defer served.Close()
	datagrams, err := net.ListenPacket("unixgram", filepath.Join(dir, "datagrams"))
	must(err)
	defer datagrams.Close()
	for _, name := range []string{"disk.img", "folder", "link", "dangling", "pipe", "served", "datagrams"} {
		path := filepath.Join(dir, name)
		before, err := os.Lstat(path)
		must(err)
		if l, err := Listen(path); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "a disk" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	// A killed process leaves its socket: it is replaced.
	stale := filepath.Join(dir, "stale")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	must(err)
	old.SetUnlinkOnClose(false)
	must(old.Close())
	l, err := Listen(stale)
	must(err)
	must(l.Close())
	if _, err := os.Lstat(stale); !os.IsNotExist(err) {
		t.Error("the socket is left:", err)
	}
}

// The error names the kernel's limit.
func TestALongSocketPathIsRefusedWithTheLimit(t *testing.T) {
	path := "/" + strings.Repeat("d", maxSocketPath)
	if _, err := Listen(path); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "at most 107 bytes, and this one has 108") {
		t.Error(err)
	}
}

// The name of a socket may mean another file by the time its listener closes.
func TestClosingRemovesItsOwnSocketOnly(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("a disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a disk" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// Of several that listen at once at a path where a stale socket is, one gets it, and
// keeps it.
func TestOneOfManyGetsASocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	var wg sync.WaitGroup
	got := make([]net.Listener, 8)
	for i := range got {
		wg.Go(func() { got[i], _ = Listen(path) })
	}
	wg.Wait()
	n := 0
	for _, l := range got {
		if l != nil {
			n++
			defer l.Close()
		}
	}
	c, err := net.Dial("unix", path)
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	c.Close()
}

// The path was free of links when it was checked. One that is there now leads to somebody
// else's directory, and a socket must not appear there.
func TestASocketIsNotMadeBehindALink(t *testing.T) {
	dir, theirs := shortDir(t), shortDir(t)
	link := filepath.Join(dir, "sub")
	if err := os.Symlink(theirs, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(link, "s"), filepath.Join(link, "new", "s")} {
		if l, err := Listen(path); err == nil {
			l.Close()
			t.Errorf("%s is listened at", path)
		}
	}
	if left, err := os.ReadDir(theirs); err != nil || len(left) != 0 {
		t.Error("something was made there:", left, err)
	}
}

// Nobody else may connect, from the first moment on; and closing removes the socket from
// the directory that it was made in, whatever becomes of the directory's name.
func TestASocketIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(shortDir(t), "d")
	l, err := Listen(filepath.Join(dir, "s")) // the directory is made
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(filepath.Join(dir, "s")); err != nil || st.Mode() != os.ModeSocket|0o600 {
		t.Error(st.Mode(), err)
	}
	if got := l.Addr().String(); got != filepath.Join(dir, "s") {
		t.Error("its address is", got)
	}
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(moved); err != nil || len(left) != 0 {
		t.Error("the socket is left:", left, err)
	}
}
