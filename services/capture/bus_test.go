package capture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// bus is stream, journal and epochs of one group, with faults to be switched on
// and off. What the journal admits is applied to images at once, and every
// consistent frame is compared with the oracles.
type bus struct {
	mu    sync.Mutex
	rng   *rand.Rand
	epoch cdp.Epoch
	dense bool // none is given to others in between

	last     cdp.FrameNo
	lastHash frame.Hash // lost with the messages, as a server forgets ids
	frames   map[cdp.FrameNo][]byte
	limit    int // frames the stream holds at most

	journal admission.State
	images  [disks][]byte
	oracles []*oracle
	watch   func(frame.Frame) error // sees every frame that the journal takes

	// Faults.
	down     bool    // the stream cannot be reached
	linkDown bool    // the journal cannot be reached and pulls nothing
	lossy    float64 // chance that an answer, or a frame, is lost
	slow     time.Duration
	mute     bool // no answer and no word reaches a capturer

	checked, consistent, markers, recreated, refused int
	answers                                          []cdp.RequestID // of each marker
	broken                                           error
	ports                                            map[*port]bool
}

func newBus(seed uint64) *bus {
	b := &bus{rng: rand.New(rand.NewPCG(seed, 7)), frames: map[cdp.FrameNo][]byte{}, limit: 1 << 30, ports: map[*port]bool{}}
	for d := range b.images {
		b.images[d] = make([]byte, diskSize)
	}
	for w := range writers {
		b.oracles = append(b.oracles, newOracle(seed, w))
	}
	return b
}

var transient = cdp.Errorf(cdp.Transient, "reach", "bus", "it is down")

// store is one frame reaching the stream.
func (b *bus) store(raw []byte, first bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || b.rng.Float64() < b.lossy {
		return transient
	}
	h, err := frame.ParseHeader(raw)
	if err != nil {
		return err
	}
	switch {
	case h.No != b.last+1:
		return cdp.Errorf(cdp.Conflict, "publish", "stream", "wrong last sequence: %d, want %d", b.last, h.No-1)
	case !first && h.Prev != b.lastHash:
		return cdp.Errorf(cdp.Conflict, "publish", "stream", "wrong last message id")
	case len(b.frames) >= b.limit:
		return cdp.Errorf(cdp.Full, "publish", "stream", "maximum messages")
	}
	b.last, b.lastHash = h.No, h.Hash
	b.frames[h.No] = bytes.Clone(raw)
	if b.rng.Float64() < b.lossy {
		return transient // it is there, but nobody learns of it
	}
	return nil
}

// pull lets the journal take up to n frames.
func (b *bus) pull(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.linkDown || b.down {
		return
	}
	for ; n > 0 && b.frames[b.journal.No+1] != nil; n-- {
		raw := b.frames[b.journal.No+1]
		f, err := frame.Parse(raw)
		if err == nil {
			err = f.Verify()
		}
		if err != nil {
			b.fail(err)
			return
		}
		if v, _ := admission.Decide(b.journal, f.Header); v != admission.Accept {
			b.refused++
			break
		}
		b.apply(f)
		b.journal = b.journal.After(f.Header)
	}
	for no := range b.frames { // purge; sometimes even the last message
		if no < b.journal.No || no == b.journal.No && b.rng.IntN(4) == 0 {
			delete(b.frames, no)
		}
	}
	if b.last < b.journal.No && b.rng.IntN(4) == 0 { // and so it moves one that ends before
		b.last, b.lastHash = b.journal.No-1, frame.Hash{}
	}
	if b.mute {
		return
	}
	d := b.word()
	for p := range b.ports {
		select {
		case <-p.durable:
		default:
		}
		p.durable <- d
	}
}

// word is what the journal reports. Call with mu held.
func (b *bus) word() Durable {
	d := Durable{Epoch: b.journal.Epoch, No: b.journal.No}
	next := b.journal.No + 1
	if raw := b.frames[next]; raw != nil {
		if h, err := frame.ParseHeader(raw); err == nil {
			if v, _ := admission.Decide(b.journal, h); v != admission.Accept {
				d.Refused, d.By = next, h.Epoch
			}
		}
	} else if next <= b.last {
		d.Refused = next
	}
	return d
}

func (b *bus) apply(f frame.Frame) {
	if b.watch != nil {
		if err := b.watch(f); err != nil {
			b.fail(fmt.Errorf("frame %d, flags %d, writes %d..%d: %w", f.No, f.Flags, f.First, f.Last(), err))
		}
	}
	for i := range f.Records {
		r := f.Record(i)
		dst := b.images[r.Disk][r.Offset:r.End()]
		if r.Kind == frame.Zero {
			clear(dst)
		} else {
			copy(dst, f.Data(r))
		}
	}
	if f.Has(frame.Marker) {
		b.markers++
		b.answers = append(b.answers, f.Request)
	}
	if !f.Has(frame.Consistent) {
		return
	}
	b.consistent++
	if b.consistent%4 != 0 && !f.Has(frame.Marker) {
		return
	}
	b.checked++
	for _, o := range b.oracles {
		if _, err := o.explain(b.images); err != nil {
			b.fail(fmt.Errorf("frame %d, flags %d, writes %d..%d: %w", f.No, f.Flags, f.First, f.Last(), err))
		}
	}
}

func (b *bus) fail(err error) {
	if b.broken == nil {
		b.broken = err
	}
}

func (b *bus) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// heal ends all faults.
func (b *bus) heal() {
	b.with(func() { b.down, b.linkDown, b.mute, b.lossy, b.slow, b.limit = false, false, false, 0, 0, 1<<30 })
}

func (b *bus) with(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *bus) tail() (cdp.FrameNo, *frame.Header, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return 0, nil, transient
	}
	raw := b.frames[b.last]
	if raw == nil {
		return b.last, nil, nil
	}
	h, err := frame.ParseHeader(raw)
	return b.last, &h, err
}

func (b *bus) recreate(first cdp.FrameNo) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return transient
	}
	b.recreated++
	b.last, b.lastHash = first-1, frame.Hash{}
	clear(b.frames)
	return nil
}

// lose is a stream that comes back without its newest n frames.
func (b *bus) lose(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; n > 0 && b.last > 0; n-- {
		delete(b.frames, b.last)
		b.last--
		b.lastHash = frame.Hash{}
		if h, err := frame.ParseHeader(b.frames[b.last]); err == nil {
			b.lastHash = h.Hash
		}
	}
}

// forget is who gives out epochs coming back without the newest n.
func (b *bus) forget(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch -= min(b.epoch, cdp.Epoch(n))
}

func (b *bus) next(held cdp.Epoch) (cdp.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return 0, transient
	}
	if held != 0 && held < b.epoch {
		return 0, cdp.Errorf(cdp.Fenced, "take epoch", "", "epoch %d was given out after %d", b.epoch, held)
	}
	b.epoch = max(b.epoch, held) + 1
	if !b.dense {
		b.epoch += cdp.Epoch(b.rng.IntN(2))
	}
	return b.epoch, nil
}

func (b *bus) cursor() (admission.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.linkDown || b.down {
		return admission.State{}, transient
	}
	return b.journal, nil
}
