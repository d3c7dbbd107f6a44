package blockfile

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// failing is a disk whose flush fails with ENOSPC, once or as long as there is no room.
// As the kernel may do, the failure leaves what lost says on the disk in place of what
// was written, without a word.
type failing struct {
	*File
	full   bool
	synced int // flushes that succeeded
	lost   map[int64][]byte
}

func newFailing(t *testing.T) *failing {
	d := &failing{File: newDisk(t, 1<<20), full: true}
	d.File.sync = func() error {
		if !d.full {
			d.synced++
			return d.datasync()
		}
		for off, p := range d.lost {
			if _, err := d.f.WriteAt(p, off); err != nil {
				t.Error(err)
			}
		}
		return syscall.ENOSPC
	}
	return d
}

func (d *failing) flushFails(t *testing.T) {
	t.Helper()
	if err := d.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flush: %v, want ENOSPC", err)
	}
}

// contains compares what the disk holds.
func (d *failing) contains(t *testing.T, off int64, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if must(t, d.ReadAt(got, off)); !bytes.Equal(got, want) {
		t.Errorf("byte %d on is not what was written", off)
	}
}

func filled(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }

// A flush fails for want of room. Everything since the last one that succeeded, also a
// part of a block, is written again, and the flush after that succeeds.
func TestAFlushThatFailedHealsWithRoom(t *testing.T) {
	d := newFailing(t)
	must(t, d.WriteAt(filled(3*4096, 1), 4096, false))
	must(t, d.WriteAt(filled(512, 2), 8192+512, false))
	must(t, d.WriteAt(filled(100<<10, 3), 300<<10, false))
	for range 3 {
		d.flushFails(t)
	}
	d.full = false
	before := d.own.begun.Load()
	must(t, d.Flush())
	if d.own.begun.Load() == before || d.synced != 1 || d.failed != nil {
		t.Errorf("%d flushes, failure %v: what may be lost was not written again", d.synced, d.failed)
	}
	want := filled(3*4096, 1)
	copy(want[4096+512:], filled(512, 2))
	d.contains(t, 4096, want)
	d.contains(t, 300<<10, filled(100<<10, 3))
	before = d.own.begun.Load()
	must(t, d.Flush())
	if d.own.begun.Load() != before {
		t.Error("a flush after a success writes")
	}
}

// The kernel has dropped a block that it could not write: flushes go on failing, and
// name it, until it is written again. What a block held before is never taken for it.
func TestABlockThatTheKernelDroppedFailsTheFlushUntilItIsWritten(t *testing.T) {
	d := newFailing(t)
	d.full = false
	must(t, d.WriteAt(filled(8192, 1), 64<<10, false))
	must(t, d.Flush())
	d.full = true
	must(t, d.WriteAt(filled(8192, 2), 64<<10, false))
	d.lost = map[int64][]byte{64<<10 + 4096: filled(4096, 1)}
	d.flushFails(t)
	d.full = false
	for range 2 {
		if err := d.Flush(); err == nil || !strings.Contains(err.Error(), "69632") {
			t.Fatalf("flush: %v, want the lost block at byte 69632", err)
		}
	}
	must(t, d.WriteAt(filled(4096, 3), 64<<10+4096, false))
	must(t, d.Flush())
	d.contains(t, 64<<10, filled(4096, 2))
	d.contains(t, 64<<10+4096, filled(4096, 3))
}

// What was trimmed or zeroed since is not written again.
func TestAHoleStaysAHoleAfterAFailedFlush(t *testing.T) {
	d := newFailing(t)
	must(t, d.WriteAt(filled(256<<10, 1), 0, false))
	d.flushFails(t)
	must(t, d.Zero(100, 128<<10, 0))
	d.full = false
	must(t, d.Flush())
	want := filled(256<<10, 1)
	clear(want[100 : 100+128<<10])
	d.contains(t, 0, want)
	st, err := os.Stat(d.f.Name())
	must(t, err)
	if n := st.Sys().(*syscall.Stat_t).Blocks * 512; n > 140<<10 {
		t.Errorf("the file takes %d bytes", n)
	}
}

// However much is written without a flush, what is remembered of it is bounded.
func TestWritesFlushNowAndThen(t *testing.T) {
	d := newFailing(t)
	d.full = false
	must(t, os.Truncate(d.f.Name(), 2*mostUnsynced*cdp.RegionSize))
	d.size = 2 * mostUnsynced * cdp.RegionSize
	for n := range int64(2 * mostUnsynced) {
		must(t, d.WriteAt(filled(512, 1), n*cdp.RegionSize, false))
		if len(d.written) > mostUnsynced+1 {
			t.Fatalf("%d regions", len(d.written))
		}
	}
	if d.synced == 0 {
		t.Error("nothing was flushed")
	}
}
