package capture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/core/frame"
)

// vm is a machine whose disks can be read in snapshots only. It writes sector by
// sector, knows every state its disks were in, and tracks changes in blocks.
type vm struct {
	mu    sync.Mutex // held for one write with its telling, and by a freeze
	rng   *rand.Rand
	disks [][]byte
	k     uint64           // the last write
	sum   uint64           // of the state of the disks
	was   map[uint64][]int // after how many writes they had that sum
	done  []int64          // when each write was complete; guarded by smu

	// Snapshots and changes, with faults.
	smu       sync.Mutex
	gen       int
	reset     int
	block     [][]int // per disk and block: the generation of its last change
	snaps     map[string]*snapshot
	at        map[int64]uint64 // the sum at the time of each snapshot
	taken     int
	open      int
	noFreeze  error
	noThaw    error
	noChanges error
	slow      time.Duration
	broken    error
}

type snapshot struct {
	frozen Frozen
	disks  [][]byte
	gen    int
}

func newVM(seed uint64, sizes ...int64) *vm {
	v := &vm{rng: rand.New(rand.NewPCG(seed, 11)), was: map[uint64][]int{0: {0}}, done: []int64{0}, gen: 1,
		snaps: map[string]*snapshot{}, at: map[int64]uint64{}}
	for _, n := range sizes {
		v.disks = append(v.disks, make([]byte, n))
		v.block = append(v.block, make([]int, (n+cdp.BlockSize-1)/cdp.BlockSize))
	}
	return v
}

// mix is a sector's share in the sum of a state: none if it is zero.
func mix(d int, sector int64, v uint64) uint64 {
	if v == 0 {
		return 0
	}
	x := v*0x9e3779b97f4a7c15 ^ uint64(d)<<56 ^ uint64(sector)*0xbf58476d1ce4e5b9
	x ^= x >> 31
	x *= 0x94d049bb133111eb
	return x ^ x>>29
}

// put changes a range of img and returns by how much its sum changed.
func put(img []byte, d int, off, n int64, v uint64) (sum uint64) {
	sum = change(img, d, off, n, v)
	fill(img[off:off+n], v)
	return sum
}

// change is by how much put would change the sum.
func change(img []byte, d int, off, n int64, v uint64) (sum uint64) {
	for at := off; at < off+n; at += cdp.SectorSize {
		s := at / cdp.SectorSize
		sum ^= mix(d, s, binary.LittleEndian.Uint64(img[at:])) ^ mix(d, s, v)
	}
	return sum
}

type guestWrite struct {
	disk   cdp.DiskID
	off, n int64
	data   []byte // nil: zeros
}

// write does one random write and tells it, before or after it reaches the disk;
// tell is nil while nobody listens.
func (v *vm) write(most int64, tell func(guestWrite) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.k++
	d := v.rng.IntN(len(v.disks))
	sectors := int64(len(v.disks[d])) / cdp.SectorSize
	first := v.rng.Int64N(sectors)
	n := min(1+v.rng.Int64N(most), sectors-first)
	w := guestWrite{disk: cdp.DiskID(d), off: first * cdp.SectorSize, n: n * cdp.SectorSize}
	word := v.k<<8 | 1
	if v.rng.IntN(8) == 0 {
		word = 0
	} else {
		w.data = make([]byte, w.n)
		fill(w.data, word)
	}
	// Once it is told it may be at the journal before it is on the disk.
	v.smu.Lock()
	next := v.sum ^ change(v.disks[d], d, w.off, w.n, word)
	v.was[next] = append(v.was[next], int(v.k))
	v.smu.Unlock()
	apply := func() {
		v.smu.Lock()
		defer v.smu.Unlock()
		v.sum ^= put(v.disks[d], d, w.off, w.n, word)
		for b := w.off / cdp.BlockSize; b*cdp.BlockSize < w.off+w.n; b++ {
			v.block[d][b] = v.gen
		}
	}
	early := v.rng.IntN(2) == 0
	if early {
		apply()
	}
	var err error
	if tell != nil {
		err = tell(w)
	}
	if !early {
		apply()
	}
	v.smu.Lock()
	v.done = append(v.done, time.Now().UnixNano())
	v.smu.Unlock()
	return err
}

// host is one process's way to the machine's snapshots.
type host struct {
	*vm
	gone bool // guarded by smu
}

func (h *host) kill() {
	h.smu.Lock()
	defer h.smu.Unlock()
	h.gone = true
}

func (v *vm) faults(f func()) {
	v.smu.Lock()
	defer v.smu.Unlock()
	f()
}

var errKilled = errors.New("the process is dead")

func (h *host) Freeze(ctx context.Context, _ Machine, pass string) (Frozen, error) {
	for !h.mu.TryLock() { // writes on their way are drained
		if ctx.Err() != nil {
			return Frozen{}, ctx.Err()
		}
		time.Sleep(100 * time.Microsecond)
	}
	defer h.mu.Unlock()
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.slow > 0 {
		time.Sleep(h.slow)
	}
	switch {
	case h.gone:
		return Frozen{}, errKilled
	case h.noFreeze != nil:
		return Frozen{}, h.noFreeze
	}
	if s := h.snaps[pass]; s != nil {
		return s.frozen, nil
	}
	if len(h.snaps) > 0 && h.broken == nil {
		h.broken = fmt.Errorf("a snapshot for %s beside %d others", pass, len(h.snaps))
	}
	s := &snapshot{gen: h.gen, frozen: Frozen{At: time.Now()}}
	h.gen++
	h.taken++
	h.at[s.frozen.At.UnixNano()] = h.sum
	for d, img := range h.disks {
		s.disks = append(s.disks, bytes.Clone(img))
		s.frozen.Disks = append(s.frozen.Disks, FrozenDisk{Path: fmt.Sprintf("%s/%d", pass, d), ChangeID: fmt.Sprintf("%d.%d", h.reset, s.gen)})
	}
	h.snaps[pass] = s
	return s.frozen, nil
}

func (h *host) Changed(_ context.Context, _ Machine, pass string, d cdp.DiskID, since string, fn func(off, n int64)) error {
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.gone {
		return errKilled
	}
	if h.noChanges != nil {
		return h.noChanges
	}
	var reset, gen int
	if since != "*" {
		fmt.Sscanf(since, "%d.%d", &reset, &gen)
		if reset != h.reset {
			return cdp.Errorf(cdp.Conflict, "ask for changes", "", "change id %s is stale", since)
		}
	}
	size := int64(len(h.disks[d]))
	for b, g := range h.block[d] {
		if off := int64(b) * cdp.BlockSize; g > gen {
			fn(off, min(cdp.BlockSize, size-off))
		}
	}
	return nil
}

func (h *host) Thaw(_ context.Context, _ Machine, keep string) error {
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.gone {
		return errKilled
	}
	if h.noThaw != nil {
		return h.noThaw
	}
	if h.open > 0 && h.broken == nil {
		h.broken = fmt.Errorf("thawed with %d disks open", h.open)
	}
	for pass := range h.snaps {
		if pass != keep {
			delete(h.snaps, pass)
		}
	}
	return nil
}

// Disk opens a disk of a snapshot.
func (h *host) Disk(path string, readOnly bool) (Disk, error) {
	h.smu.Lock()
	defer h.smu.Unlock()
	var d int
	pass, no, _ := strings.Cut(path, "/")
	fmt.Sscan(no, &d)
	s := h.snaps[pass]
	if s == nil || !readOnly {
		return nil, cdp.Errorf(cdp.NotFound, "open disk", path, "there is none to be read")
	}
	h.open++
	return &memDisk{h: h, img: s.disks[d]}, nil
}

// memDisk is a frozen disk; it knows no holes.
type memDisk struct {
	h   *host
	img []byte
}

func (m *memDisk) Size() int64 { return int64(len(m.img)) }
func (m *memDisk) ReadAt(p []byte, off int64) error {
	copy(p, m.img[off:])
	return nil
}
func (m *memDisk) WriteAt([]byte, int64, bool) error        { return errors.New("read only") }
func (m *memDisk) Zero(int64, int64, block.ZeroFlags) error { return errors.New("read only") }
func (m *memDisk) Trim(int64, int64, bool) error            { return nil }
func (m *memDisk) Flush() error                             { return nil }
func (m *memDisk) Status(_, n int64) []block.Extent         { return []block.Extent{{Length: n}} }
func (m *memDisk) Close() error {
	m.h.smu.Lock()
	defer m.h.smu.Unlock()
	m.h.open--
	return nil
}

// replay holds what the journal takes against the states of the machine.
type replay struct {
	v     *vm
	cbt   bool
	late  bool // points may lack what nobody can know of yet
	img   [][]byte
	sum   uint64
	last  int  // the newest state seen
	whole bool // the frame before was consistent
	sent  int64
	good  int
}

// see is called by the journal for each frame: a point at the end of a
// consistent frame, or behind any write of one that follows another, must be a
// state the disks were in, and no older one than the point before.
func (r *replay) see(f frame.Frame) error {
	inside := r.whole && f.Has(frame.Consistent) && !f.Has(frame.ExtentStart)
	for i := range f.Records {
		x := f.Record(i)
		r.sent += int64(len(f.Data(x)))
		for at := x.Offset; at < x.End(); at += cdp.SectorSize {
			word := uint64(0)
			if x.Kind == frame.Write {
				word = binary.LittleEndian.Uint64(f.Data(x)[at-x.Offset:])
			}
			r.sum ^= put(r.img[x.Disk], int(x.Disk), at, cdp.SectorSize, word)
		}
		if inside && !r.cbt {
			if err := r.check(0); err != nil {
				return fmt.Errorf("behind write %d: %w", i, err)
			}
		}
	}
	r.whole = f.Has(frame.Consistent)
	if !r.whole {
		return nil
	}
	r.good++
	if r.cbt && f.Records > 0 {
		return fmt.Errorf("a consistent frame shares %d writes with its cycle", f.Records)
	}
	if r.cbt {
		r.v.smu.Lock()
		want, ok := r.v.at[f.Sealed]
		r.v.smu.Unlock()
		if !ok || want != r.sum {
			return fmt.Errorf("a point at %v, snapshot %t, is not what its snapshot was", f.Time(), ok)
		}
	}
	if !r.cbt && !r.late && f.Has(frame.Marker) {
		return r.check(f.Sealed)
	}
	return r.check(0)
}

// check holds the state against those that the disks were in. One that is
// offered as that of a time has every write that was complete by then.
func (r *replay) check(at int64) error {
	r.v.smu.Lock()
	defer r.v.smu.Unlock()
	lacks := 0
	for _, k := range r.v.was[r.sum] {
		switch {
		case k < r.last:
		case k+1 < len(r.v.done) && r.v.done[k+1] <= at:
			lacks = k + 1
		default:
			r.last = k
			return nil
		}
	}
	if lacks > 0 {
		return fmt.Errorf("it is offered as of %v, and lacks write %d of %v", time.Unix(0, at), lacks, time.Unix(0, r.v.done[lacks]))
	}
	return fmt.Errorf("the disks were never so, or before write %d only: %v", r.last, r.v.was[r.sum])
}

// frozenWorld is a world with a machine instead of disks.
type frozenWorld struct {
	*world
	v     *vm
	h     *host
	r     *replay
	told  bool                // the machine's clients tell its writes; guarded by v.mu
	mute  map[cdp.DiskID]bool // disks whose client does not; guarded by v.mu
	asked int64               // bytes whose sums were asked for; guarded by bus.mu
	paid  int64               // bytes of content sent up to the last cycle
}

func newFrozenWorld(w *world, mode cdp.CaptureMode) *frozenWorld {
	sizes := []int64{1<<20 + 64<<10 + 1536, 3 << 19}
	f := &frozenWorld{world: w, v: newVM(w.seed, sizes...)}
	f.r = &replay{v: f.v, cbt: mode == cdp.CBT}
	w.job = Job{Group: "shop", Mode: mode, Frozen: true}
	if mode == cdp.CBT {
		w.job.Every = time.Hour
	}
	w.bus.with(func() {
		w.bus.oracles, w.bus.watch = nil, f.r.see
		for d, n := range sizes {
			w.bus.images[d] = make([]byte, n)
			f.r.img = append(f.r.img, make([]byte, n))
			w.job.Disks = append(w.job.Disks, JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(d), Name: fmt.Sprintf("disk%d", d), Size: n}})
		}
	})
	w.cfg.PassRetryMin, w.cfg.PassRetryMax = time.Millisecond, 8*time.Millisecond
	w.deps.Sums = func(_ context.Context, t cdp.Site, _ cdp.GroupID, d cdp.DiskID, off, n int64, block int) (out [][32]byte, err error) {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		if w.bus.linkDown || w.bus.down {
			return nil, transient
		}
		f.asked += n
		for img := w.bus.images[d][off : off+n]; len(img) > 0; img = img[min(block, len(img)):] {
			out = append(out, sha256.Sum256(img[:min(block, len(img))]))
		}
		return out, nil
	}
	return f
}

func (f *frozenWorld) up() {
	f.t.Helper()
	f.h = &host{vm: f.v}
	f.deps.Snapshots, f.deps.Disk = f.h, f.h.Disk
	f.world.up()
}

// crash: what the process made of snapshots stays. The machine's client has
// nobody to talk to; call it while the machine is still.
func (f *frozenWorld) crash() {
	f.told = false
	f.h.kill()
	f.world.crash()
}

// close ends the process in order; a freeze that waits for the machine is let
// through, so call it while the machine is still but not from a write.
func (f *frozenWorld) close(d time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := f.g.Close(ctx); err != nil {
		f.t.Error(err)
	}
}

// connect: the machine's client comes back and tells so.
func (f *frozenWorld) connect() {
	f.v.mu.Lock()
	f.told, f.mute = true, map[cdp.DiskID]bool{}
	f.v.mu.Unlock()
	f.live()
}

func (f *frozenWorld) live() {
	f.t.Helper()
	for d := range f.job.Disks {
		f.g.order.mu.Lock()
		f.g.order.taps.of[d].clients = 1
		f.g.order.mu.Unlock()
		if err := f.g.Live(cdp.DiskID(d)); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *frozenWorld) still(do func()) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	do()
}

// gone: the clients go without a goodbye.
func (f *frozenWorld) gone() {
	f.still(func() {
		for d := range f.job.Disks {
			f.leave(cdp.DiskID(d), false)
		}
	})
}

// leave: the client of a disk goes, with a goodbye or without, and the machine
// may write on. Call it while the machine is still.
func (f *frozenWorld) leave(d cdp.DiskID, clean bool) {
	if f.told && !f.mute[d] {
		f.mute[d] = true
		f.g.clientGone(d, clean)
	}
}

// tell is what the client does with a write.
func (f *frozenWorld) tell(w guestWrite) error {
	if w.data == nil {
		return f.g.guests.zero(w.disk, w.off, w.n, 0)
	}
	return f.g.guests.write(w.disk, w.data, w.off)
}

// run writes until the world stops.
func (f *frozenWorld) run(pace time.Duration, most int64) {
	f.wg.Go(func() {
		for {
			select {
			case <-f.stop:
				return
			default:
			}
			f.pause.RLock()
			f.one(most)
			f.pause.RUnlock()
			time.Sleep(pace)
		}
	})
}

func (f *frozenWorld) one(most int64) {
	var tell func(guestWrite) error
	if f.job.Mode == cdp.Tap {
		tell = func(w guestWrite) error {
			if !f.told || f.mute[w.disk] {
				return nil
			}
			return f.tell(w)
		}
	}
	if err := f.v.write(most, tell); err != nil {
		f.t.Errorf("a guest's write failed: %v", err)
	}
}

func (f *frozenWorld) eventually(what string, do func() bool) {
	f.t.Helper()
	f.world.eventually(what, func() bool {
		f.v.smu.Lock()
		err := f.v.broken
		f.v.smu.Unlock()
		if err != nil {
			f.t.Fatal(err)
		}
		return do()
	})
}

// same holds the journal against the machine, which must be still.
func (f *frozenWorld) same() {
	f.t.Helper()
	f.bus.mu.Lock()
	defer f.bus.mu.Unlock()
	for d, img := range f.v.disks {
		for at := 0; at < len(f.bus.images[d]); at += cdp.SectorSize {
			if a, b := img[at:at+cdp.SectorSize], f.bus.images[d][at:at+cdp.SectorSize]; !bytes.Equal(a, b) {
				f.t.Fatalf("disk %d sector %d: source %x, journal %x", d, at/cdp.SectorSize, a[:8], b[:8])
			}
		}
	}
}

func (f *frozenWorld) heal() {
	f.bus.heal()
	f.v.faults(func() { f.v.noFreeze, f.v.noThaw, f.v.noChanges, f.v.slow = nil, nil, nil, 0 })
}

// settle lets everything heal and compares.
func (f *frozenWorld) settle() {
	f.t.Helper()
	f.heal()
	f.pause.Lock()
	defer f.pause.Unlock()
	if f.job.Mode == cdp.Tap {
		f.eventually("replicating", func() bool {
			switch f.g.Status().State {
			case event.NeedsResync:
				f.connect()
			case event.Replicating:
				return true
			}
			return false
		})
		f.point()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p, err := f.g.CyclePoint(ctx)
		if err != nil {
			f.t.Fatalf("%v; %+v", err, f.g.Status())
		}
		f.eventually("the point at the journal", func() bool { return f.g.Status().Durable >= p.Frame && f.g.Status().State == event.Replicating })
	}
	f.same()
}
