package oracle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The log of a real blklogwrites driver, fed by qemu-io.
func TestLogOfQEMU(t *testing.T) {
	if _, err := exec.LookPath("qemu-io"); err != nil {
		t.Fatalf("%v: apt-get install -y --no-install-recommends qemu-utils", err)
	}
	dir := t.TempDir()
	base, image, log := filepath.Join(dir, "base"), filepath.Join(dir, "image"), filepath.Join(dir, "log")
	content := bytes.Repeat([]byte("base"), 1<<18) // 1 MiB
	for path, b := range map[string][]byte{base: content, image: content, log: nil} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(log, 1<<30); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("qemu-io", "--image-opts",
		"-c", "write -P 1 0 64k", "-c", "write -P 2 4k 512", "-c", "flush",
		"-c", "write -f -P 3 100k 4k", "-c", "write -z 8k 4k", "-c", "write -P 4 200k 300k", "-c", "flush",
		"driver=blklogwrites,log-sector-size=512,file.driver=file,file.filename="+image+",log.driver=file,log.filename="+log,
	).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-io: %v: %s", err, out)
	}
	l := open(t, log)
	var writes []Entry
	for _, e := range l.Entries {
		if e.IsWrite() {
			e.data, e.Flags = 0, 0
			writes = append(writes, e)
		}
	}
	want := []Entry{{Length: 64 << 10}, {Offset: 4 << 10, Length: 512}, {Offset: 100 << 10, Length: 4 << 10}, {Offset: 8 << 10, Length: 4 << 10}, {Offset: 200 << 10, Length: 300 << 10}}
	if len(writes) != len(want) {
		t.Fatalf("%d writes, want %d: %+v", len(writes), len(want), l.Entries)
	}
	for i := range want {
		if writes[i] != want[i] {
			t.Errorf("write %d: %+v, want %+v", i, writes[i], want[i])
		}
	}
	// What QEMU wrote to the disk is the whole log.
	n, ok, err := l.MatchPrefix(base, image)
	if err != nil || !ok || n != len(l.Entries) {
		t.Fatalf("whole image: %d of %d, %t, %v", n, len(l.Entries), ok, err)
	}
	// And each prefix, replayed onto a copy of the base, is found again.
	copied := filepath.Join(dir, "copy")
	for n := range l.Entries {
		if err := os.WriteFile(copied, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := l.ReplayPrefix(copied, n); err != nil {
			t.Fatal(err)
		}
		m, err := l.Compare(base, copied)
		if err != nil || !m.Found || m.Shortest > n || m.Longest < n {
			t.Fatalf("prefix %d: %+v, %v", n, m, err)
		}
	}
}
