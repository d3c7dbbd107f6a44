package overlay

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"tidemark.dev/pkg/adapter/blockfile"
)

// What the disks of a budget take together stays within its limit; what fails changes
// nothing. Writing over what is there, zeros and trims need no room, and zeros give it back.
func TestScratchStaysWithinItsLimit(t *testing.T) {
	const limit, chunk = 4 << 20, 64 << 10
	dir := t.TempDir()
	open := func(path string) (File, error) { return blockfile.Open(path, false) }
	b := NewBudget(limit)
	var disks [2]*Disk
	for i, name := range []string{"a", "b"} {
		d, err := Open(dir, name, sparse(64<<20), open)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		d.Within(b)
		disks[i] = d
	}
	ones, wrote := bytes.Repeat([]byte{1}, chunk), 0
	write := func(n int) error { return disks[n%2].WriteAt(ones, int64(n/2)*chunk, false) }
	for ; ; wrote++ {
		if err := write(wrote); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil || wrote > limit/chunk {
			t.Fatalf("after %d writes: %v", wrote, err)
		}
	}
	if wrote < limit/chunk/2 || b.Taken() > limit {
		t.Fatalf("%d writes were taken, and %d bytes of %d", wrote, b.Taken(), limit)
	}
	for range 3 * limit / chunk {
		if err := disks[0].WriteAt(ones[:512], 512, false); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	p := make([]byte, chunk)
	if err := disks[wrote%2].ReadAt(p, int64(wrote/2)*chunk); err != nil || bytes.Contains(p, []byte{1}) {
		t.Errorf("a write that failed is there: %v", err)
	}
	if err := disks[1].Trim(0, 32<<20, false); err != nil {
		t.Fatal(err)
	}
	for n := range limit / chunk / 4 {
		if err := write(2*n + 1); err != nil {
			t.Fatalf("after a trim: %v", err)
		}
	}
}
