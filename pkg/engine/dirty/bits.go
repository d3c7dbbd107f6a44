package dirty

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// layer is one bit per region of one disk. The words lie in the mapping.
type layer []uint64

func layerAt(mem []byte) layer {
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), len(mem)/8)
}

// span is the regions that [off, off+n) touches: from..to, to excluded.
func span(off, n int64) (from, to int64) {
	return off / RegionSize, (off + n + RegionSize - 1) / RegionSize
}

// mask is the mask of the bits of word w that lie in from..to.
func mask(w, from, to int64) uint64 {
	m := ^uint64(0)
	if at := from - w*64; at > 0 {
		m <<= uint(at)
	}
	if end := to - w*64; end < 64 {
		m &= 1<<uint(end) - 1
	}
	return m
}

// set sets the bits and returns how many were clear.
func (l layer) set(from, to int64) (changed int64) {
	for w := from / 64; w*64 < to; w++ {
		m := mask(w, from, to)
		if atomic.LoadUint64(&l[w])&m == m {
			continue // the usual case, and the page stays clean
		}
		old := atomic.OrUint64(&l[w], m)
		changed += int64(bits.OnesCount64(m &^ old))
	}
	return changed
}

// unset clears the bits and returns how many were set.
func (l layer) unset(from, to int64) (changed int64) {
	for w := from / 64; w*64 < to; w++ {
		m := mask(w, from, to)
		if atomic.LoadUint64(&l[w])&m == 0 {
			continue
		}
		old := atomic.AndUint64(&l[w], ^m)
		changed += int64(bits.OnesCount64(m & old))
	}
	return changed
}

func (l layer) has(i int64) bool { return atomic.LoadUint64(&l[i/64])>>uint(i%64)&1 == 1 }

// next is the first region at or after from, before end, whose bit is want;
// end when there is none.
func (l layer) next(from, end int64, want bool) int64 {
	for w := from / 64; w*64 < end; w++ {
		v := atomic.LoadUint64(&l[w])
		if !want {
			v = ^v
		}
		if v &= mask(w, from, end); v != 0 {
			return w*64 + int64(bits.TrailingZeros64(v))
		}
	}
	return end
}

func (l layer) count() (n int64) {
	for i := range l {
		n += int64(bits.OnesCount64(atomic.LoadUint64(&l[i])))
	}
	return n
}

// touch makes the kernel write every page again. It takes those that it failed to write
// for written.
func (m *Map) touch() {
	for at := 0; at < len(m.mem); at += page {
		atomic.OrUint32((*uint32)(unsafe.Pointer(&m.mem[at])), 0)
	}
}
