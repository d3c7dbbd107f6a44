package vault

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// badFrames are the stored frames that were found unreadable since the journal was
// opened, and why. Each failed read costs the store a lot, so what is known to be bad is
// not read again.
type badFrames struct {
	headers  badParts // with the table of their writes
	payloads badParts
	// Guarded by payloads.mu: what of the payloads cannot be read, once it was looked for,
	// and the floors that were to be made of it.
	content map[cdp.FrameNo][]IndexEntry
	floors  map[blockKey]IndexEntry
}

// badParts are bad parts of frames, and why they cannot be read.
type badParts struct {
	mu  sync.Mutex
	why map[cdp.FrameNo]error
}

func (b *badParts) note(no cdp.FrameNo, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.why == nil {
		b.why = map[cdp.FrameNo]error{}
	}
	if b.why[no] == nil {
		b.why[no] = why
	}
}

// next is the first of [from, to] that is bad; to+1 for none.
func (b *badParts) next(from, to cdp.FrameNo) cdp.FrameNo {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := to + 1
	for no := range b.why {
		if no >= from && no < first {
			first = no
		}
	}
	return first
}

// dropBelow forgets the frames below no, which are not stored any more.
func (b *badFrames) dropBelow(no cdp.FrameNo) {
	b.headers.dropBelow(no)
	b.payloads.dropBelow(no)
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	maps.DeleteFunc(b.content, func(n cdp.FrameNo, _ []IndexEntry) bool { return n < no })
}

// reset forgets all: the store was loaded again.
func (b *badFrames) reset() {
	b.headers.reset()
	b.payloads.reset()
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	b.content, b.floors = nil, nil
}

func (b *badParts) dropBelow(no cdp.FrameNo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.why, func(n cdp.FrameNo, _ error) bool { return n < no })
}

func (b *badParts) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why = nil
}

// suspects are the frames whose payload was found damaged, and was not probed yet.
func (b *badFrames) suspects() map[cdp.FrameNo]error {
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	out := maps.Clone(b.payloads.why)
	for no := range b.content {
		delete(out, no)
	}
	return out
}

func (b *badFrames) probed(no cdp.FrameNo, lost []IndexEntry) {
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	if b.content == nil {
		b.content = map[cdp.FrameNo][]IndexEntry{}
	}
	if b.payloads.why[no] != nil {
		b.content[no] = lost
	}
}

// lost is what the frames that were probed have lost, by frame, and the floors that were
// to be made of it.
func (b *badFrames) lost() (out []IndexEntry) {
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	for _, x := range b.floors {
		out = append(out, x)
	}
	for _, no := range slices.Sorted(maps.Keys(b.content)) {
		out = append(out, b.content[no]...)
	}
	return out
}

// setFloor notes whether the floor of a block at write horizon is lost.
func (b *badFrames) setFloor(k blockKey, horizon cdp.Seq, lost bool) {
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	if delete(b.floors, k); !lost {
		return
	}
	if b.floors == nil {
		b.floors = map[blockKey]IndexEntry{}
	}
	b.floors[k] = IndexEntry{Disk: k.disk, Block: k.b, Entry: history.Entry{Seq: horizon, Mask: cdp.FullMask}}
}

// report is why frames cannot be read, nil if all can.
func (b *badFrames) report() error {
	nos := map[cdp.FrameNo]error{}
	b.headers.mu.Lock()
	maps.Copy(nos, b.headers.why)
	b.headers.mu.Unlock()
	b.payloads.mu.Lock()
	maps.Copy(nos, b.payloads.why)
	floors := len(b.floors)
	b.payloads.mu.Unlock()
	switch {
	case len(nos) == 0 && floors == 0:
		return nil
	case len(nos) == 0:
		return cdp.Errorf(cdp.Corrupt, "read journal", "", "what %d blocks held at the oldest recovery point was damaged", floors)
	}
	first := slices.Min(slices.Collect(maps.Keys(nos)))
	frames := fmt.Sprintf("frame %d", first)
	if n := len(nos) - 1; n > 0 {
		frames += fmt.Sprintf(" and %d more", n)
	}
	return cdp.Errorf(cdp.Corrupt, "read journal", frames, "%v", nos[first])
}
