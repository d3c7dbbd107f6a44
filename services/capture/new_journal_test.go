package capture

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// A job was deleted while this side was away, and applied again: the target's
// journal and disks are new, the state kept here is not. Everything is sent
// again, however this side was away.
func TestANewJournalGetsEverything(t *testing.T) {
	for _, killed := range []bool{false, true} {
		for _, streamToo := range []bool{false, true} {
			f, _ := cycleWorld(t)
			f.put(0, 128<<10, 64<<10)
			f.up()
			f.cycle()
			if killed {
				f.crash()
			} else {
				f.close(time.Second)
			}
			f.bus.with(func() {
				f.bus.journal = admission.State{}
				for d, img := range f.bus.images {
					clear(img)
					clear(f.r.img[d])
				}
				f.r.sum = 0
				if streamToo {
					f.bus.frames, f.bus.last, f.bus.lastHash = map[cdp.FrameNo][]byte{}, 0, frame.Hash{}
				}
			})
			f.put(1, 0, 4096)
			f.up()
			f.eventually("the journal has something", func() (ok bool) {
				f.bus.with(func() { ok = f.bus.journal.No > cdp.FrameNo(0) })
				return ok
			})
			f.settle()
			f.end()
		}
	}
}
