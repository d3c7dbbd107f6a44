package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
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
	ahead     time.Duration // its host's clock
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

// write does one random write and reports it, before or after it reaches the disk;
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
	// Once it is reported it may be at the journal before it is on the disk.
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
