package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

const block = 4096

// record is the demo's own memory of what it wrote, kept apart from Tidemark:
// the list of all writes, in order. Each write's content follows from its
// number, so the record can tell what the disks held after any of them.
type record struct {
	sizes  []int64
	writes []written
}

type written struct {
	disk int
	off  int64
	n    int
}

// next adds a write to the record and gives its content. The writer alternates
// between the disks, so that a point that took the disks at different moments
// would be found out.
func (r *record) next(rng *rand.Rand) (written, []byte) {
	k := len(r.writes)
	w := written{disk: k % len(r.sizes), n: block * (1 + rng.IntN(4))}
	w.off = rng.Int64N((r.sizes[w.disk]-int64(w.n))/block) * block
	r.writes = append(r.writes, w)
	return w, r.content(k)
}

// content of write k: every block tells its number.
func (r *record) content(k int) []byte {
	w := r.writes[k]
	p := make([]byte, w.n)
	rng := rand.New(rand.NewPCG(uint64(k), 1))
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], rng.Uint64())
	}
	for i := 0; i < len(p); i += block {
		binary.LittleEndian.PutUint64(p[i:], uint64(k)+1)
	}
	return p
}

// state is what the disks held after the first n writes.
func (r *record) state(n int) [][]byte {
	disks := make([][]byte, len(r.sizes))
	for i, s := range r.sizes {
		disks[i] = make([]byte, s)
	}
	for k := range n {
		w := r.writes[k]
		copy(disks[w.disk][w.off:], r.content(k))
	}
	return disks
}

// prove finds the one number of writes after which the disks held exactly got,
// byte for byte, on all disks at once. It fails if there is none.
func (r *record) prove(got [][]byte) (int, error) {
	newest := 0
	for _, d := range got {
		for off := 0; off+block <= len(d); off += block {
			if k := binary.LittleEndian.Uint64(d[off:]); k <= uint64(len(r.writes)) {
				newest = max(newest, int(k))
			}
		}
	}
	want := r.state(newest)
	for i := range want {
		if !bytes.Equal(want[i], got[i]) {
			at := 0
			for want[i][at] == got[i][at] {
				at++
			}
			return newest, fmt.Errorf("disk %d differs at byte %d from what it held after %d writes", i, at, newest)
		}
	}
	return newest, nil
}
