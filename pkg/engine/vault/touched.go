package vault

import (
	"cmp"
	"slices"

	"tidemark.dev/pkg/cdp"
)

// touched is the set of blocks that a run of writes touched, one bit a block.
type touched map[regionKey]*blockSet

type blockSet [cdp.BlocksPerRegion / 64]uint64

func (s *blockSet) add(b cdp.Block) {
	i := b % cdp.BlocksPerRegion
	s[i/64] |= 1 << (i % 64)
}

func (s *blockSet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s *blockSet) fill() {
	for i := range s {
		s[i] = ^uint64(0)
	}
}

// hasBlock reports whether the block is in the set.
func (t touched) hasBlock(disk cdp.DiskID, b cdp.Block) bool {
	s := t[regionKey{disk, b.Region()}]
	return s != nil && s.has(int(b%cdp.BlocksPerRegion))
}

func (t touched) add(e IndexEntry) {
	k := regionKey{e.Disk, e.Region}
	if !e.Whole {
		k.r = e.Block.Region()
	}
	s := t[k]
	if s == nil {
		s = &blockSet{}
		t[k] = s
	}
	if e.Whole {
		s.fill()
	} else {
		s.add(e.Block)
	}
}

// keys are the touched regions in order.
func (t touched) keys() []regionKey {
	out := make([]regionKey, 0, len(t))
	for k := range t {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b regionKey) int {
		return cmp.Or(cmp.Compare(a.disk, b.disk), cmp.Compare(a.r, b.r))
	})
	return out
}
