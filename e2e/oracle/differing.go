package oracle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
)

// differing is the set of sectors in which a disk differs from an image.
type differing struct {
	sector  int64    // bytes
	bits    []uint64 // bit n: sector n differs
	count   int      // bits that are set
	scratch []byte
}

// diff compares a disk that equals the file base; it returns the common size of
// the two files.
func diff(base string, img *os.File, sector int64) (d *differing, size int64, err error) {
	f, err := os.Open(base)
	if err != nil {
		return nil, 0, fmt.Errorf("oracle: %w", err)
	}
	defer f.Close()
	bs, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("oracle: %w", err)
	}
	is, err := img.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("oracle: %w", err)
	}
	if bs.Size() != is.Size() {
		return nil, 0, fmt.Errorf("oracle: base has %d bytes, image %d", bs.Size(), is.Size())
	}
	d = &differing{sector: sector, bits: make([]uint64, bs.Size()/sector/64+1)}
	buf := make([]byte, pieceBytes)
	for at := int64(0); at < bs.Size(); {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("oracle: read base: %w", err)
		}
		if err := d.write(img, at, buf[:n]); err != nil {
			return nil, 0, fmt.Errorf("oracle: %w", err)
		}
		at += int64(n)
	}
	return d, bs.Size(), nil
}

// write notes that the disk now holds b at the offset, a multiple of the sector
// size.
func (d *differing) write(img *os.File, offset int64, b []byte) error {
	if cap(d.scratch) < len(b) {
		d.scratch = make([]byte, len(b))
	}
	want := d.scratch[:len(b)]
	if _, err := img.ReadAt(want, offset); err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	equal := bytes.Equal(want, b)
	if equal && d.none(offset/d.sector, (offset+int64(len(b))-1)/d.sector) {
		return nil // the common case of a base that mostly equals the image
	}
	for at := int64(0); at < int64(len(b)); at += d.sector {
		end := min(at+d.sector, int64(len(b)))
		d.set((offset+at)/d.sector, !equal && !bytes.Equal(want[at:end], b[at:end]))
	}
	return nil
}

// none tells that no sector near from to to, inclusive, differs; it looks at
// whole words.
func (d *differing) none(from, to int64) bool {
	for _, word := range d.bits[from/64 : to/64+1] {
		if word != 0 {
			return false
		}
	}
	return true
}

func (d *differing) set(sector int64, differs bool) {
	word, bit := &d.bits[sector/64], uint64(1)<<(sector%64)
	switch {
	case differs && *word&bit == 0:
		*word |= bit
		d.count++
	case !differs && *word&bit != 0:
		*word &^= bit
		d.count--
	}
}

// first returns the first differing sector's place in bytes, -1 if there is none.
func (d *differing) first() int64 {
	for i, word := range d.bits {
		if word != 0 {
			return (int64(i)*64 + int64(bits.TrailingZeros64(word))) * d.sector
		}
	}
	return -1
}
