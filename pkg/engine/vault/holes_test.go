package vault_test

import (
	"fmt"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// holeStory is a journal of one sparse disk that is sent frames of the model.
type holeStory struct {
	t *testing.T
	m *vaulttest.Model
	g *vault.Group
}

func (h holeStory) send(flags frame.Flags, ws ...vaulttest.ModelWrite) (last cdp.Seq) {
	h.t.Helper()
	if len(h.m.Frames) == 0 {
		flags |= frame.ExtentStart
	}
	f, v, why, err := h.g.Offer(h.m.Frame(flags, 1, int64(len(h.m.Frames)+1)*1e9, ws...))
	if err != nil {
		h.t.Fatal(v, why, err)
	}
	b, err := h.g.Prepare([]frame.Frame{f})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := b.Commit(); err != nil {
		h.t.Fatal(err)
	}
	return f.Last()
}

// data is the extents with data of the whole disk at seq at, in KiB.
func (h holeStory) data(at cdp.Seq) (out string) {
	h.t.Helper()
	v, err := h.g.View(at)
	if err != nil {
		h.t.Fatal(err)
	}
	defer v.Close()
	calls := 0
	for off := int64(0); off < v.Size(0); calls++ {
		es := v.Status(0, off, v.Size(0)-off)
		if len(es) == 0 {
			h.t.Fatalf("at %d nothing is said from byte %d on", at, off)
		}
		for _, e := range es {
			if !e.Zero {
				out += fmt.Sprintf("[%d+%d]", off>>10, e.Length>>10)
			}
			off += e.Length
		}
	}
	if limit := int(v.Size(0)>>32) + 1; calls > limit {
		h.t.Errorf("it took %d calls, want at most one for 4 GiB", calls)
	}
	return out
}

// A client that copies a point of a sparse disk can skip its holes: of what the first
// copy brought, to the block; of what the journal keeps, to the region. A
// region that the guest discarded is a hole from then on, and data before.
func TestAPointTellsItsHoles(t *testing.T) {
	for name, adopted := range map[string]bool{"first copy": false, "adopted image": true} {
		t.Run(name, func(t *testing.T) {
			size := int64(62 << 40)
			if adopted { // the replica of this test is slow
				size = 8 << 30
			}
			disks := []cdp.Disk{{ID: 0, Name: "a", Size: size}}
			h := holeStory{t: t, m: vaulttest.NewModel(disks)}
			var err error
			h.g, err = vault.Open(t.Context(), disks, vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks),
				vault.Config{Straight: true, Adopted: adopted, TailEntries: 3})
			if err != nil {
				t.Fatal(err)
			}
			defer h.g.Close()
			const mib = 1 << 20
			far := size - 5*mib
			write := func(off, n int64) vaulttest.ModelWrite { return vaulttest.ModelWrite{Off: off, Len: n} }
			zero := vaulttest.ModelWrite{Off: 7 * mib, Len: mib, Zero: true}
			h.send(0, write(4096, 4096), write(7*mib+8192, 4096), write(far, 512))
			first := h.send(frame.Consistent|frame.Marker, write(20*mib, 512))
			afterCopy := fmt.Sprintf("[4+4][7176+4][20480+1024][%d+4]", far>>10)
			if adopted { // of an image that was not written here only the file system knows
				afterCopy = fmt.Sprintf("[0+1024][7168+1024][20480+1024][%d+1024]", far>>10)
			}
			expect := func(what string, at cdp.Seq, want string) {
				t.Helper()
				if got := h.data(at); got != want {
					t.Errorf("%s: data at %s, want %s", what, got, want)
				}
			}
			expect("after the first copy", first, afterCopy)
			discarded := h.send(frame.Consistent|frame.Marker, zero)
			written := h.send(frame.Consistent|frame.Marker, write(40*mib, 512), write(41*mib, 512), write(42*mib, 512), write(43*mib, 512))
			for _, raised := range []bool{false, true} {
				if raised {
					if err := h.g.Raise(t.Context(), written); err != nil {
						t.Fatal(err)
					}
				}
				v, err := h.g.View(first)
				if err != nil {
					t.Fatal(err)
				}
				if es := v.Status(0, 7*mib, mib); holesIn(es) > 0 {
					t.Errorf("raised %v: before the discard the region is told as %v", raised, es)
				}
				v.Close()
				if v, err = h.g.View(discarded); err != nil {
					t.Fatal(err)
				}
				if es := v.Status(0, 7*mib, mib); holesIn(es) != mib {
					t.Errorf("raised %v: after the discard the region is told as %v", raised, es)
				}
				v.Close()
			}
			if err := h.g.Retain(t.Context(), written); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func holesIn(es []block.Extent) (n int64) {
	for _, e := range es {
		if e.Zero {
			n += e.Length
		}
	}
	return n
}

// A block of the replica that has a checksum and is a hole is damaged: it is told as
// data, so that a copy reads it and fails, and does not take it for zeros.
func TestALostBlockIsNoHole(t *testing.T) {
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 8 << 20}}
	replica := vaulttest.NewMemReplica(disks)
	h := holeStory{t: t, m: vaulttest.NewModel(disks)}
	var err error
	if h.g, err = vault.Open(t.Context(), disks, vaulttest.NewMemStore(), replica, vault.Config{Straight: true}); err != nil {
		t.Fatal(err)
	}
	defer h.g.Close()
	h.send(0, vaulttest.ModelWrite{Off: 4096, Len: 4096})
	at := h.send(frame.Consistent | frame.Marker)
	if err := replica.Zero(0, 0, 8<<20); err != nil {
		t.Fatal(err)
	}
	if got := h.data(at); got != "[4+4]" {
		t.Errorf("data at %s, want the block that was lost", got)
	}
}

// holesAreZeros is a read that also compares what Status says of the range.
func holesAreZeros(v *vault.View) func(disk cdp.DiskID, p []byte, off int64) error {
	return func(disk cdp.DiskID, p []byte, off int64) error {
		es := v.Status(disk, off, int64(len(p)))
		if err := v.ReadAt(disk, p, off); err != nil {
			return err
		}
		rest := p
		for _, e := range es {
			n := min(e.Length, int64(len(rest)))
			if e.Zero && !vault.AllZero(rest[:n]) {
				return fmt.Errorf("write %d: of %d bytes at %d of disk %d some are reported as a hole and hold data: %v", v.At(), len(p), off, disk, es)
			}
			rest = rest[n:]
		}
		return nil
	}
}
