package history

import "tidemark.dev/pkg/cdp"

// Piece is the part of one write that falls into one block, or, when Whole is
// set, a run of zeros over one whole region.
type Piece struct {
	Disk   cdp.DiskID
	Block  cdp.Block  // if not Whole
	Region cdp.Region // always
	Whole  bool
	Mask   cdp.Mask
	Off    uint32 // offset in the write's payload of the first covered sector
}

// Pieces calls fn for each piece of a write of length bytes at offset, in
// order. Zeros that cover whole regions come as Whole pieces.
func Pieces(disk cdp.DiskID, offset int64, length uint32, zero bool, fn func(Piece)) {
	end := offset + int64(length)
	for at := offset; at < end; {
		if zero && at%cdp.RegionSize == 0 && end-at >= cdp.RegionSize {
			fn(Piece{Disk: disk, Region: cdp.Region(at / cdp.RegionSize), Whole: true, Mask: cdp.FullMask})
			at += cdp.RegionSize
			continue
		}
		b := cdp.Block(at / cdp.BlockSize)
		stop := min(end, (b + 1).Offset())
		first := uint(at-b.Offset()) / cdp.SectorSize
		n := uint(stop-at) / cdp.SectorSize
		fn(Piece{Disk: disk, Block: b, Region: b.Region(), Mask: cdp.Mask(1<<n-1) << first, Off: uint32(at - offset)})
		at = stop
	}
}
