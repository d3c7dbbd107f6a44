package capture

import (
	"bytes"
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

// A disk is extended, and then the job: what is new is sent, zeros too, although the
// target does not have it yet and cannot compare it; of the rest only what changed.
func TestWhatAnExtendedDiskGainedIsSent(t *testing.T) {
	f, a := cycleWorld(t)
	f.up()
	f.cycle()
	f.put(1, 0, 4096)
	was := int64(len(f.v.disks[0]))
	grown := was + 300<<10
	f.close(time.Second)
	f.extend(0, grown)
	sums := f.deps.Sums
	f.deps.Sums = func(ctx context.Context, s cdp.Site, g cdp.GroupID, d cdp.DiskID, off, n int64, block int) ([][32]byte, error) {
		if d == 0 && off+n > was {
			return nil, cdp.Errorf(cdp.Invalid, "checksum disk", "off", "the disk has %d bytes", was)
		}
		return sums(ctx, s, g, d, off, n, block)
	}
	f.up()
	sent := f.cycle()
	if most := int64(2 << 20); sent > most {
		t.Errorf("%d bytes were sent, more than %d", sent, most)
	}
	if n := a.count(AlarmReset); n != 1 {
		t.Errorf("%d disks are compared as a whole, want the extended one", n)
	}
	f.put(0, grown-4096, 4096)
	f.cycle()
	f.crash()
	f.up()
	f.put(0, was, 4096)
	f.cycle()
	f.end()
}

// extend makes a disk of the machine longer, and of the job. The journal's image holds
// what must be overwritten.
func (f *frozenWorld) extend(d cdp.DiskID, size int64) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	f.v.faults(func() {
		more := make([]byte, size-int64(len(f.v.disks[d])))
		f.v.disks[d] = append(bytes.Clone(f.v.disks[d]), more...)
		for len(f.v.block[d]) < int((size+cdp.BlockSize-1)/cdp.BlockSize) {
			f.v.block[d] = append(f.v.block[d], f.v.gen)
		}
		f.bus.with(func() {
			f.bus.images[d] = append(f.bus.images[d], bytes.Repeat([]byte{0xEE}, len(more))...)
			f.r.img[d] = append(f.r.img[d], more...)
		})
	})
	f.job.Disks[d].Size = size
}
