package nbd

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tidemark.dev/pkg/core/block"
)

// Real clients against the server, over a sparse file.

func TestNbdinfo(t *testing.T) {
	r := newRig(t, Config{},
		Export{Name: "a", Description: "first disk", Backend: newDisk(t, 8<<20), MultiConn: true},
		Export{Name: "b", Backend: newDisk(t, 1<<20), ReadOnly: true, MinBlock: 4096})
	out := tool(t, "nbdinfo", "--list", r.uri(""))
	for _, want := range []string{
		`export="a"`, "description: first disk", "export-size: 8388608", "can_multi_conn: true",
		`export="b"`, "is_read_only: true", "block_size_minimum: 4096", "block_size_minimum: 512",
		"block_size_maximum: 67108864", "can_fast_zero: true", "can_df: true", "can_cache: true", "base:allocation",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("nbdinfo does not say %q:\n%s", want, out)
		}
	}
	if out := tool(t, "nbdinfo", "--map", r.uri("a")); !strings.Contains(out, "hole,zero") {
		t.Errorf("nbdinfo --map:\n%s", out)
	}
	if out, err := toolErr(t, "nbdinfo", r.uri("x")); err == nil {
		t.Errorf("nbdinfo finds an export that is not there:\n%s", out)
	}
}

func TestQemuImg(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "d", Backend: newDisk(t, 16<<20)})
	dir := t.TempDir()
	src, back := filepath.Join(dir, "src"), filepath.Join(dir, "back")
	b := make([]byte, 16<<20)
	rand.Read(b[1<<20 : 5<<20])
	rand.Read(b[10<<20 : 10<<20+70_000])
	must(t, os.WriteFile(src, b, 0o600))
	tool(t, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", src, r.uri("d"))
	tool(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", src, r.uri("d"))
	tool(t, "qemu-img", "convert", "-f", "raw", "-O", "raw", r.uri("d"), back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, b) {
		t.Errorf("the copy differs (%v)", err)
	}
	out := tool(t, "qemu-img", "map", "--output=json", "-f", "raw", r.uri("d"))
	if !strings.Contains(out, `"zero": true`) || !strings.Contains(out, `"zero": false`) {
		t.Errorf("map: %s", out)
	}
}

func TestQemuIO(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "d", Backend: newDisk(t, 16<<20)})
	out := tool(t, "qemu-io", "-f", "raw", "-d", "unmap", r.uri("d"),
		"-c", "write -P 0x11 0 1M", "-c", "write -f -P 0x22 512 4k", "-c", "write -z 64k 64k",
		"-c", "write -z -u 128k 64k", "-c", "discard 1M 1M", "-c", "flush",
		"-c", "aio_write -P 0x33 2M 64k", "-c", "aio_write -P 0x44 3M 1M", "-c", "aio_flush",
		"-c", "read -P 0x11 0 512", "-c", "read -P 0x22 512 4k", "-c", "read -P 0 64k 128k",
		"-c", "read -P 0x33 2M 64k", "-c", "read -P 0x44 3M 1M", "-c", "read -P 0 5M 8M")
	if strings.Contains(out, "failed") || strings.Contains(out, "error") {
		t.Error(out)
	}
	ro := newRig(t, Config{}, Export{Backend: newDisk(t, 1<<20), ReadOnly: true})
	if out, err := toolErr(t, "qemu-io", "-f", "raw", ro.uri(""), "-c", "write 0 4k"); err == nil {
		t.Errorf("wrote to a read-only export:\n%s", out)
	}
}

func TestNbdcopy(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "d", Backend: newDisk(t, 16<<20), MultiConn: true})
	dir := t.TempDir()
	src, back := filepath.Join(dir, "src"), filepath.Join(dir, "back")
	b := make([]byte, 16<<20)
	rand.Read(b[3<<20 : 9<<20])
	must(t, os.WriteFile(src, b, 0o600))
	tool(t, "nbdcopy", "--flush", src, r.uri("d"))
	tool(t, "nbdcopy", r.uri("d"), back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, b) {
		t.Errorf("the copy differs (%v)", err)
	}
}

// TestFioVerify lets fio write random blocks with checksums and read them back.
func TestFioVerify(t *testing.T) {
	for _, backend := range []block.Device{newDisk(t, 16<<20), newMemory(16 << 20)} {
		r := newRig(t, Config{}, Export{Name: "", Backend: backend, MultiConn: true})
		for _, bs := range []string{"4k", "64k", "512-128k"} {
			tool(t, "fio", "--name=v", "--ioengine=nbd", "--uri="+r.uri(""), "--rw=randwrite", "--bsrange="+bsrange(bs),
				"--blockalign=512", "--iodepth=16", "--size=16m", "--io_size=12m", "--verify=crc32c", "--verify_fatal=1", "--fsync=32")
		}
	}
}

func bsrange(s string) string {
	if strings.Contains(s, "-") {
		return s
	}
	return s + "-" + s
}

// TestKernelClient attaches the kernel's client where there is one. Elsewhere
// nbd-client's own handshake is checked with its list, and the log says so.
func TestKernelClient(t *testing.T) {
	d := newDisk(t, 8<<20)
	r := newRig(t, Config{}, Export{Name: "d", Backend: d})
	if _, err := os.Stat("/dev/nbd0"); err != nil {
		exec.Command("modprobe", "nbd").Run()
	}
	if _, err := os.Stat("/dev/nbd0"); err != nil {
		t.Log("this kernel has no NBD client (no /dev/nbd0): only nbd-client --list is tested")
		if out := tool(t, "nbd-client", "--list", "-unix", r.sock); !regexp.MustCompile(`(?m)^d\s*$`).MatchString(out) {
			t.Errorf("nbd-client --list: %s", out)
		}
		return
	}
	tool(t, "nbd-client", "-unix", r.sock, "/dev/nbd0", "-N", "d")
	defer tool(t, "nbd-client", "-d", "/dev/nbd0")
	want := make([]byte, 1<<20)
	rand.Read(want)
	f, err := os.OpenFile("/dev/nbd0", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(want, 1<<20)
	must(t, err)
	must(t, f.Sync())
	got := make([]byte, len(want))
	must(t, d.ReadAt(got, 1<<20))
	if !bytes.Equal(got, want) {
		t.Error("what the kernel wrote is not on the disk")
	}
}
