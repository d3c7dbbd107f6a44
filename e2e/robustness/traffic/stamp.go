package traffic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Sector is the unit that carries a stamp.
const Sector = 512

const magic = 0x6b72616d65646974 // "tidemark"

var zeros [Sector]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stamp fills p, whole sectors from off of disk, as the content of write n.
//
//	0 magic u64, 8 run u64, 16 write u64, 24 disk u32, 28 sector u32,
//	32 noise, 508 CRC-32C of what stands before; all little endian
func Stamp(p []byte, run, n uint64, disk int, off int64) {
	le := binary.LittleEndian
	for ; len(p) > 0; p, off = p[Sector:], off+Sector {
		s := p[:Sector]
		le.PutUint64(s, magic)
		le.PutUint64(s[8:], run)
		le.PutUint64(s[16:], n)
		le.PutUint32(s[24:], uint32(disk))
		le.PutUint32(s[28:], uint32(off/Sector))
		x := n<<32 ^ uint64(off) ^ run | 1
		for i := 32; i < 64; i += 8 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			le.PutUint64(s[i:], x)
		}
		for i := 64; i < 504; i *= 2 {
			copy(s[i:504], s[32:i])
		}
		le.PutUint32(s[504:], 0)
		le.PutUint32(s[508:], crc32.Checksum(s[:508], castagnoli))
	}
}

// Read tells which write a sector at off of disk comes from; 0 is all zeros.
// The error says what else it is.
func Read(s []byte, run uint64, disk int, off int64) (n uint64, err error) {
	le := binary.LittleEndian
	n = le.Uint64(s[16:])
	switch {
	case bytes.Equal(s, zeros[:]):
		return 0, nil
	case le.Uint64(s) != magic:
		return 0, fmt.Errorf("no stamp: % x", s[:32])
	case crc32.Checksum(s[:508], castagnoli) != le.Uint32(s[508:]):
		return n, fmt.Errorf("torn: the checksum of write %d is wrong", n)
	case le.Uint64(s[8:]) != run:
		return n, fmt.Errorf("write %d of another run, %d", n, le.Uint64(s[8:]))
	case int(le.Uint32(s[24:])) != disk || int64(le.Uint32(s[28:]))*Sector != off:
		return n, fmt.Errorf("misplaced: write %d of disk %d, sector %d", n, le.Uint32(s[24:]), le.Uint32(s[28:]))
	}
	return n, nil
}
