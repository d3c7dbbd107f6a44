package window

import (
	"os"
	"strings"
	"sync/atomic"
	"unsafe"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

const (
	magic   = 0x574f444e49574454
	version = 2
	// versionRing is version 1, in which ordinal o was in slot o%n: version 2 allows that.
	versionRing = 1
	page        = 4096
	entrySize   = 128
	slotSize    = (frame.SlotSize + page - 1) / page * page
)

// Identity is what a window belongs to. A file of another group or another boot
// of the machine is discarded.
type Identity struct {
	Group cdp.GroupID
	Boot  string // see BootID
}

// BootID names the current boot of this machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", &cdp.Error{Op: "read boot id", Kind: cdp.Internal, Cause: err}
	}
	return strings.TrimSpace(string(b)), nil
}

type state = uint32

const (
	slotFree state = iota
	slotOpen
	slotClosed
	slotSealed
)

// fileSize is the length in bytes of a window of n slots.
func fileSize(n int) int64 { return page + int64(tableSize(n)) + int64(n)*slotSize }

func tableSize(n int) int { return (n*entrySize + page - 1) / page * page }

// header views of the mapping; offsets as in doc.go.
func (w *Window) u32(at int) *uint32 { return (*uint32)(unsafe.Pointer(&w.mem[at])) }
func (w *Window) u64(at int) *uint64 { return (*uint64)(unsafe.Pointer(&w.mem[at])) }

// entry is a slot's row in the table.
type entry struct {
	state  atomic.Uint32
	flags  uint32
	ord    uint64
	counts atomic.Uint64
	opened int64
	closed int64
	answer cdp.RequestID
	_      [16]byte
	before frame.Hash
	_      [32]byte
}

const _ = uint(entrySize-unsafe.Sizeof(entry{})) + uint(unsafe.Sizeof(entry{})-entrySize)

func (w *Window) at(i int) *entry {
	return (*entry)(unsafe.Pointer(&w.mem[page+i*entrySize]))
}

// slotAt is where a slot begins in the file.
func (w *Window) slotAt(i int) int64 { return int64(page + tableSize(w.n) + i*slotSize) }

func (w *Window) slot(i int) []byte {
	from := w.slotAt(i)
	return w.mem[from : from+frame.SlotSize : from+frame.SlotSize]
}

func pack(b *frame.Builder) uint64 { return uint64(b.Records())<<32 | uint64(b.PayloadLen()) }

func unpack(c uint64) (records, payload int) { return int(c >> 32), int(uint32(c)) }
