package guest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestModuleOrder(t *testing.T) {
	deps := "k/virtio_blk.ko: k/virtio_ring.ko k/virtio.ko\nk/virtio_ring.ko: k/virtio.ko\nk/virtio.ko:\n"
	got := moduleOrder(deps, []string{"virtio_ring", "virtio_blk", "ext4"})
	if want := []string{"k/virtio.ko", "k/virtio_ring.ko", "k/virtio_blk.ko"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// The archive is read back by another implementation, busybox's.
func TestCPIO(t *testing.T) {
	var b bytes.Buffer
	c := &Archive{W: &b}
	c.Dir("bin")
	c.Link("bin/sh", "busybox")
	c.File("init", 0o755, []byte("hello"))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if b.Len()%4 != 0 || bytes.Count(b.Bytes(), []byte("070701")) != 4 {
		t.Fatalf("%d bytes, %d headers", b.Len(), bytes.Count(b.Bytes(), []byte("070701")))
	}
	if _, err := exec.LookPath(busybox.program); err != nil {
		t.Fatal(&MissingTools{Programs: []string{busybox.program}, Packages: []string{busybox.pkg}})
	}
	cmd := exec.Command(busybox.program, "cpio", "-t")
	cmd.Stdin = &b
	out, err := cmd.Output()
	if err != nil || string(out) != "bin\nbin/sh\ninit\n" {
		t.Fatalf("cpio lists %q, %v", out, err)
	}
}

func TestAptSources(t *testing.T) {
	etc := t.TempDir()
	t.Setenv("TIDEMARK_APT_SOURCES", "")
	if _, err := aptSources(etc); err == nil {
		t.Fatal("found sources in an empty directory")
	}
	put := func(name, content string) string {
		path := filepath.Join(etc, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("sources.list", "# deb http://deb.debian.org/debian bookworm main\n")
	put("sources.list.d/vendor.list", "deb https://vendor.example bookworm main\n")
	want := put("sources.list.d/debian.sources", "Types: deb\nSuites: bookworm bookworm-updates\n")
	if got, err := aptSources(etc); err != nil || !slices.Equal(got, []string{want}) {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestCacheBuildsOnceAndWhole(t *testing.T) {
	t.Setenv("TIDEMARK_CACHE", t.TempDir())
	killed := filepath.Join(os.Getenv("TIDEMARK_CACHE"), "building-1", "tree")
	if err := os.MkdirAll(killed, 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := cached(t.Context(), "x", func(dir string) error {
		os.WriteFile(filepath.Join(dir, "half"), nil, 0o644)
		return broken
	}); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	builds := make(chan string, 8)
	done := make(chan error)
	for range 4 {
		go func() {
			dir, err := cached(t.Context(), "x", func(dir string) error {
				builds <- dir
				time.Sleep(50 * time.Millisecond)
				return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644)
			})
			if err == nil {
				_, err = os.Stat(filepath.Join(dir, "whole"))
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(builds) != 1 {
		t.Fatalf("%d builds", len(builds))
	}
	root, _ := CacheDir()
	if left, _ := filepath.Glob(filepath.Join(root, "building-*")); len(left) != 0 {
		t.Fatalf("left %v", left)
	}
	unlock, err := lock(t.Context(), filepath.Join(root, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := cached(ctx, "y", func(string) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want to time out at the lock", err)
	}
}
