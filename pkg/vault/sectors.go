package vault

import (
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

// AllZero reports whether p holds nothing but zeros.
func AllZero(p []byte) bool {
	for len(p) >= 8 {
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0 {
			return false
		}
		p = p[8:]
	}
	for _, x := range p {
		if x != 0 {
			return false
		}
	}
	return true
}

func sectors(m cdp.Mask) int { return bits.OnesCount8(uint8(m)) }
