package dirty

import (
	"sync/atomic"
	"unsafe"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

const (
	// RegionSize is how many bytes of a disk one bit stands for.
	RegionSize = 64 << 10
	// Intents is how many writes can be on their way at once.
	Intents = 64

	magic     = 0x0159545249444454
	page      = 4096
	sizesAt   = 2 * page
	intentLen = 32
)

// Identity is what a file belongs to.
type Identity struct {
	Group cdp.GroupID
	Boot  string     // see window.BootID
	Disks []cdp.Disk // by ID, 0 and up
}

// Mark is the newest frame that the stream is known to hold, and what is known
// of whose frames come before it.
type Mark struct {
	No   cdp.FrameNo
	Hash frame.Hash
	Last cdp.Seq
	// Valid is false until a stream was seen.
	Valid bool
	// Epochs FirstEpoch..Epoch were all taken by this file's capturers: a frame
	// that carries one of them is our own.
	FirstEpoch, Epoch cdp.Epoch
	// Origin: every frame after this number, up to No, is our own.
	Origin cdp.FrameNo
}

// head is page 0.
type head struct {
	magic atomic.Uint64
	disks uint32
	clean atomic.Uint32
	seed  atomic.Uint32
	gen   atomic.Uint32
	_     [8]byte
	boot  [48]byte
	_     [16]byte
	group [48]byte
	_     [16]byte
	which atomic.Uint64
	_     [24]byte
	marks [2]Mark
}

const _ = uint(page - unsafe.Sizeof(head{}))

type intent struct {
	state    atomic.Uint32
	disk     uint32
	off, len int64
	_        [8]byte
}

const _ = uint(intentLen-unsafe.Sizeof(intent{})) + uint(unsafe.Sizeof(intent{})-intentLen)

func (m *Map) head() *head { return (*head)(unsafe.Pointer(&m.mem[0])) }

func (m *Map) intent(i int) *intent {
	return (*intent)(unsafe.Pointer(&m.mem[page+i*intentLen]))
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

func regions(size int64) int64 { return (size + RegionSize - 1) / RegionSize }

// bitBytes is the size of one disk's bits in one layer.
func bitBytes(size int64) int64 { return roundUp((regions(size)+7)/8, page) }

func fileSize(disks []cdp.Disk) (total int64) {
	for _, d := range disks {
		total += bitBytes(d.Size)
	}
	return sizesAt + roundUp(int64(len(disks))*8, page) + 3*total
}
