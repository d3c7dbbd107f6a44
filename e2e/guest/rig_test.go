package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSerialCountsWholeLinesOnly(t *testing.T) {
	s := newSerial()
	for _, part := range []string{"PG-UP\r\nACK 1\r\nAC", "K 2\r", "\nACK x\nWORK-FAI", "LED psql ended\nACK 1"} {
		s.Write([]byte(part))
	}
	if got := s.acknowledged(); !slices.Equal(got, []int64{1, 2}) {
		t.Fatalf("acks %v", got)
	}
	if err := s.waitFor(t.Context(), "PG-UP"); err != nil {
		t.Fatal(err)
	}
	if err := s.waitFor(t.Context(), "never"); err == nil || !strings.Contains(err.Error(), "WORK-FAILED psql ended") {
		t.Fatalf("got %v, want the failure", err)
	}
	ended := newSerial()
	go ended.end()
	if err := ended.waitFor(t.Context(), "never"); err == nil {
		t.Fatal("waited for a guest that had ended")
	}
}

func TestParseLedger(t *testing.T) {
	good := "PG-UP uptime=4\r\nLEDGER count=7 min=1 max=7 contiguous=t crc=ok\r\nBALANCE ok\r\nWITNESS intent=8 ok\r\nAMCHECK ok\r\nWORK-DONE\r\n"
	if err := parseLedger(good).Verify(7); err != nil {
		t.Fatal(err)
	}
	if err := parseLedger(good).Verify(8); err == nil {
		t.Error("an acknowledged row is missing, and passed")
	}
	for _, line := range strings.SplitAfter(good, "\n") {
		if strings.HasPrefix(line, "PG-UP") || strings.HasPrefix(line, "WORK-DONE") || line == "" {
			continue
		}
		if err := parseLedger(strings.Replace(good, line, "", 1)).Verify(7); err == nil {
			t.Errorf("passed without %q", line)
		}
		bad := strings.NewReplacer("=t ", "=f ", " ok", " bad", "=ok", "=bad").Replace(line)
		if err := parseLedger(strings.Replace(good, line, bad, 1)).Verify(7); err == nil {
			t.Errorf("passed with %q", bad)
		}
	}
}

func TestScriptAndGoAgree(t *testing.T) {
	if !strings.Contains(asset("pid1.sh"), fmt.Sprintf("\nbatch=%d ", WitnessBatch)) {
		t.Fatal("pid1.sh's batch is not WitnessBatch")
	}
}

func TestModuleOrder(t *testing.T) {
	deps := "k/virtio_blk.ko: k/virtio_ring.ko k/virtio.ko\nk/virtio_ring.ko: k/virtio.ko\nk/virtio.ko:\n"
	got := moduleOrder(deps, []string{"virtio_ring", "virtio_blk", "ext4"})
	if want := []string{"k/virtio.ko", "k/virtio_ring.ko", "k/virtio_blk.ko"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// The reader of the archive is cpio's, if it is installed, else only the layout
// is checked.
func TestCPIO(t *testing.T) {
	var b bytes.Buffer
	c := &cpioWriter{w: &b}
	c.dir("bin")
	c.link("bin/sh", "busybox")
	c.file("init", 0o755, []byte("hello"))
	if err := c.close(); err != nil {
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

type verdict struct{ skipped, failed string }

func (v *verdict) Helper()       {}
func (v *verdict) Skip(a ...any) { v.skipped = fmt.Sprint(a...) }
func (v *verdict) Fatal(a ...any) {
	if v.failed == "" {
		v.failed = fmt.Sprint(a...)
	}
}

func TestRequireIsLoud(t *testing.T) {
	t.Setenv("TIDEMARK_GUEST", "0")
	t.Setenv("CI", "")
	v := &verdict{}
	if Require(v); v.skipped == "" || v.failed != "" {
		t.Fatalf("%+v", v)
	}
	t.Setenv("CI", "true")
	v = &verdict{}
	if Require(v); v.failed == "" {
		t.Fatalf("%+v", v)
	}
	t.Setenv("TIDEMARK_GUEST", "")
	t.Setenv("PATH", t.TempDir())
	v = &verdict{}
	if Require(v); !strings.Contains(v.failed, "apt-get install") || !strings.Contains(v.failed, "qemu-system-x86") || strings.Contains(v.failed, "\n") {
		t.Fatalf("%+v", v)
	}
}

// A test that is killed takes its guests with it. The test runs itself as a
// second process, which boots a guest and says its number.
func TestGuestDiesWithItsTest(t *testing.T) {
	Require(t)
	ctx := deadline(t, 5*time.Minute)
	if dir := os.Getenv("TIDEMARK_GUEST_ORPHAN"); dir != "" {
		im, err := Prepare(ctx)
		if err != nil {
			t.Fatal(err)
		}
		vm, err := Boot(ctx, Config{Images: im, Mode: ModeIdle, Dir: dir, Drives: []Drive{{Raw: im.Root, Overlay: true}, {Raw: im.Data, Overlay: true}}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("PID %d\n", vm.Pid())
		vm.Wait(ctx)
		return
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestGuestDiesWithItsTest$")
	cmd.Env = append(os.Environ(), "TIDEMARK_GUEST_ORPHAN="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "PID %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("QEMU does not run: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for !gone(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("QEMU %d outlived its test", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// gone tells whether the process has ended; nobody may be there to reap it.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}
