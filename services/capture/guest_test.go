package capture

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"tidemark.dev/pkg/cdp"
)

// The guests of the tests: writer w does its operations 1, 2, 3 ... one after
// the other, and each follows from seed, w and its number alone, so that any
// process can tell what a disk must hold. Writers own alternate stripes.

const (
	diskSize = 6 << 20
	stripe   = 1 << 20
	disks    = 2
	writers  = 2
	blocks   = diskSize / cdp.BlockSize
)

type op struct {
	disk cdp.DiskID
	off  int64
	n    int64
	kind int // 0 write, 1 zero, 2 trim
}

func opOf(seed uint64, w int, k uint64) op {
	r := rand.New(rand.NewPCG(seed^uint64(w)<<32, k))
	o := op{disk: cdp.DiskID(r.IntN(disks))}
	s := int64(r.IntN(diskSize/stripe/writers)*writers + w)
	n := int64(1 + r.IntN(4))
	switch r.IntN(30) {
	case 0:
		n = 1 + r.Int64N(160)
	case 1, 2:
		o.kind = 1 + r.IntN(2)
		n = 1 + r.Int64N(64)
	}
	first := r.Int64N(stripe / cdp.BlockSize)
	n = min(n, stripe/cdp.BlockSize-first)
	o.off, o.n = s*stripe+first*cdp.BlockSize, n*cdp.BlockSize
	return o
}

func stamp(w int, k uint64) uint64 { return k<<8 | uint64(w)<<1 | 1 }

func fill(p []byte, v uint64) {
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], v)
	}
}

// do runs an operation through a group.
func (o op) do(g *Group, w int, k uint64, buf []byte) error {
	switch o.kind {
	case 1:
		return g.guests.zero(o.disk, o.off, o.n, 0)
	case 2:
		return g.guests.trim(o.disk, o.off, o.n)
	}
	fill(buf[:o.n], stamp(w, k))
	return g.guests.write(o.disk, buf[:o.n], o.off)
}

// oracle knows, for one writer, what each block held after each operation.
type oracle struct {
	seed uint64
	w    int
	ops  []op              // ops[k-1]
	hist [disks][][]uint64 // per block, the operations on it, in order
}

func newOracle(seed uint64, w int) *oracle {
	o := &oracle{seed: seed, w: w}
	for d := range o.hist {
		o.hist[d] = make([][]uint64, blocks)
	}
	return o
}

func (o *oracle) upTo(k uint64) {
	for uint64(len(o.ops)) < k {
		n := uint64(len(o.ops)) + 1
		x := opOf(o.seed, o.w, n)
		o.ops = append(o.ops, x)
		for b := x.off / cdp.BlockSize; b < (x.off+x.n)/cdp.BlockSize; b++ {
			o.hist[x.disk][b] = append(o.hist[x.disk][b], n)
		}
	}
}

// at is the word that fills a block after operation k.
func (o *oracle) at(d int, b int64, k uint64) uint64 {
	h := o.hist[d][b]
	for i := len(h) - 1; i >= 0; i-- {
		if h[i] <= k {
			if o.ops[h[i]-1].kind != 0 {
				return 0
			}
			return stamp(o.w, h[i])
		}
	}
	return 0
}

func (o *oracle) owns(b int64) bool { return int(b*cdp.BlockSize/stripe)%writers == o.w }

// word is what fills block b of an image; an error if it is not one word.
func word(img []byte, b int64) (uint64, error) {
	p := img[b*cdp.BlockSize : (b+1)*cdp.BlockSize]
	v := binary.LittleEndian.Uint64(p)
	for i := 8; i < len(p); i += 8 {
		if x := binary.LittleEndian.Uint64(p[i:]); x != v {
			return 0, fmt.Errorf("block %d holds %#x at 0 and %#x at %d: torn", b, v, x, i)
		}
	}
	return v, nil
}

// explain finds the operation after which the writer's disks looked like the
// images; only that operation itself may be there in part. The error says which
// block fits no operation.
func (o *oracle) explain(img [disks][]byte) (uint64, error) {
	var newest uint64
	var words [disks][blocks]uint64
	for d := range disks {
		for b := range int64(blocks) {
			if !o.owns(b) {
				continue
			}
			v, err := word(img[d], b)
			if err != nil {
				return 0, fmt.Errorf("disk %d: %w", d, err)
			}
			if v != 0 && int(v>>1&0x7f) != o.w {
				return 0, fmt.Errorf("disk %d block %d holds another writer's %#x", d, b, v)
			}
			words[d][b] = v
			newest = max(newest, v>>8)
		}
	}
	o.upTo(newest + 64)
	var first error
	for k := newest; k <= newest+64; k++ {
		err := o.fits(&words, k)
		if err == nil {
			return k, nil
		}
		if first == nil {
			first = err
		}
	}
	return 0, first
}

func (o *oracle) fits(words *[disks][blocks]uint64, k uint64) error {
	for d := range disks {
		for b := range int64(blocks) {
			if !o.owns(b) {
				continue
			}
			v := words[d][b]
			if v == o.at(d, b, k) || k > 0 && v == o.at(d, b, k-1) {
				continue
			}
			return fmt.Errorf("writer %d, disk %d block %d holds operation %d, after operation %d it held %d", o.w, d, b, v>>8, k, o.at(d, b, k)>>8)
		}
	}
	return nil
}
