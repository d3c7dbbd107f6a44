package overlay

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/seedtest"
)

type fixed []byte

func (f fixed) Size() int64 { return int64(len(f)) }
func (f fixed) ReadAt(p []byte, off int64) error {
	clear(p)
	copy(p, f[off:])
	return nil
}

// Status tells holes of 4 KiB.
func (f fixed) Status(off, n int64) (out []block.Extent) {
	for end := off + n; off < end && off < int64(len(f)); {
		stop := min((off/4096+1)*4096, int64(len(f)))
		zero := bytes.Count(f[off:stop], []byte{0}) == int(stop-off)
		out = append(out, block.Extent{Length: stop - off, Hole: zero, Zero: zero})
		off = stop
	}
	return out
}

// checkHoles fails if a range with data is reported as a hole, and counts the holes.
func checkHoles(t *testing.T, d *Disk, off int64, content []byte) (holes int64) {
	t.Helper()
	for _, e := range d.Status(off, int64(len(content))) {
		p := content[:min(e.Length, int64(len(content)))]
		if content = content[len(p):]; !e.Zero {
			continue
		}
		if holes += int64(len(p)); bytes.Count(p, []byte{0}) != len(p) {
			t.Fatalf("a hole of %d bytes holds data", len(p))
		}
	}
	return holes
}

func openFile(path string) (File, error) { return blockfile.Open(path, false) }

// Whatever is written to the scratch, also over reopenings, reads back; what is
// below never changes; and Each finds all of it.
func TestScratchReadsBackAndTheDiskBelowStaysAsItWas(t *testing.T) {
	seed := seedtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	holes := int64(0)
	for range 30 {
		dir := t.TempDir()
		size := 64<<10 + rng.Int64N(8)*512
		below := make(fixed, size)
		for i := range below {
			below[i] = byte(rng.Uint32())
		}
		clear(below[16<<10 : 40<<10])
		was := bytes.Clone(below)
		want := bytes.Clone(below)
		d, err := Open(dir, "d", below, openFile)
		if err != nil {
			t.Fatal(err)
		}
		writes := uint64(0)
		for range 60 {
			off := rng.Int64N(size/512) * 512
			n := min(size-off, (1+rng.Int64N(30))*512)
			switch rng.IntN(5) {
			case 0:
				if err := d.Zero(off, n, 0); err != nil {
					t.Fatal(err)
				}
				clear(want[off : off+n])
				writes++
			case 1:
				if err := d.Flush(); err != nil {
					t.Fatal(err)
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				if d, err = Open(dir, "d", below, openFile); err != nil {
					t.Fatal(err)
				}
			default:
				p := bytes.Repeat([]byte{byte(rng.Uint32())}, int(n))
				if err := d.WriteAt(p, off, false); err != nil {
					t.Fatal(err)
				}
				copy(want[off:], p)
				writes++
			}
			if d.Writes() != writes {
				t.Fatalf("it counts %d writes of %d", d.Writes(), writes)
			}
			got := make([]byte, n)
			if err := d.ReadAt(got, off); err != nil || !bytes.Equal(got, want[off:off+n]) {
				t.Fatalf("%d bytes at %d differ, %v", n, off, err)
			}
			holes += checkHoles(t, d, off, got)
		}
		copied := bytes.Clone(below)
		if err := d.Each(func(p []byte, off int64) error { copy(copied[off:], p); return nil }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(copied, want) || !bytes.Equal(below, was) {
			t.Fatal("Each misses something, or the disk below changed")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Remove(dir, "d"); err != nil {
			t.Fatal(err)
		}
	}
	if holes == 0 {
		t.Error("no hole was told at all")
	}
}
