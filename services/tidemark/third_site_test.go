package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestAMachineIsBroughtToAThirdSite: what was failed over does not go home, which may be gone
// for good, but to new disks at another site, and is protected from there. The site that it
// came from is not asked for anything.
func TestAMachineIsBroughtToAThirdSite(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := labOf(t, dir, upFile("127.0.0.1:0", "}\n  - {name: spare, listen: \"127.0.0.1:0\"")+"  - {from: spare, to: dr}\n")
	file, src, dst := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	poke(t, l.field("write to", "status", "web"), 1<<20, 'A')
	l.do(0, "failover", "web", "--mode", "production", "--planned", "--to", "files")
	l.do(0, "failover", "commit", "web")
	before, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	_, errs := l.do(exitUsage, "failback", "web", "--to", "spare", "--yes")
	wants(t, errs, "its old disks are at prod, not at spare", "--disk NAME=PATH")
	to := filepath.Join(dir, "spare.img")
	out, _ := l.do(0, "reprotect", "web", "--to", "spare", "--disk", "system="+to, "--dry-run")
	wants(t, out, "web-back will replicate dr -> spare (reversed)", "4.0 MiB are copied in full to new disks at spare")
	out, _ = l.do(0, "failback", "web", "--to", "spare", "--disk", "system="+to, "--yes")
	wants(t, out, "web is home: it replicates spare -> dr, and is protected")
	poke(t, l.field("write to", "status", "web"), 2<<20, 'B')
	for path, want := range map[string]map[int64]byte{to: {1 << 20: 'A', 2 << 20: 'B'}, dst: {1 << 20: 'A'}} {
		image, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for off, b := range want {
			if !bytes.Equal(image[off:off+4096], bytes.Repeat([]byte{b}, 4096)) {
				t.Errorf("%s at %d: %q", path, off, image[off])
			}
		}
	}
	if after, err := os.ReadFile(src); err != nil || !bytes.Equal(before, after) {
		t.Error("the old disk was changed", err)
	}
}
