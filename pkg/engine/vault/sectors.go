package vault

import (
	"bytes"
	"math/bits"

	"tidemark.dev/pkg/cdp"
)

func firstSector(m cdp.Mask) int { return bits.TrailingZeros8(uint8(m)) }

// copySectors copies the sectors in m from one block to another.
func copySectors(dst, src []byte, m cdp.Mask) {
	if m == cdp.FullMask {
		copy(dst[:cdp.BlockSize], src)
		return
	}
	for s := range cdp.SectorsPerBlock {
		if m&(1<<s) != 0 {
			copy(dst[s*cdp.SectorSize:(s+1)*cdp.SectorSize], src[s*cdp.SectorSize:])
		}
	}
}

func clearSectors(dst []byte, m cdp.Mask) {
	for s := range cdp.SectorsPerBlock {
		if m&(1<<s) != 0 {
			clear(dst[s*cdp.SectorSize : (s+1)*cdp.SectorSize])
		}
	}
}

// zeroBlock is what AllZero compares with: bytes.Equal is several times as fast as
// a loop, and many times under the race detector.
var zeroBlock [cdp.BlockSize]byte

// AllZero reports whether p holds nothing but zeros.
func AllZero(p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(zeroBlock))
		if !bytes.Equal(p[:n], zeroBlock[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}

func sectors(m cdp.Mask) int { return bits.OnesCount8(uint8(m)) }
