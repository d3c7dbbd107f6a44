package appliance

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A seed is an empty file system, as it is written to a blank disk: the blocks of a new
// ext4 that are not zero, compressed by gzip. Each is its number, in four bytes, little
// endian, and its content. There is no program in the appliance that makes file systems.

// seedBlock is the size of a block.
const seedBlock = 4096

var zeros [seedBlock]byte

// block is one of a seed.
type block struct {
	at   int64
	data []byte
}

// WriteSeed writes the seed of a file system of size bytes.
func WriteSeed(w io.Writer, fs io.ReaderAt, size int64) error {
	z := gzip.NewWriter(w)
	b := make([]byte, seedBlock)
	for at := int64(0); at < size; at += seedBlock {
		if _, err := fs.ReadAt(b, at); err != nil {
			return err
		}
		if bytes.Equal(b, zeros[:]) {
			continue
		}
		if err := binary.Write(z, binary.LittleEndian, uint32(at/seedBlock)); err != nil {
			return err
		}
		if _, err := z.Write(b); err != nil {
			return err
		}
	}
	return z.Close()
}

func readSeed(r io.Reader) ([]block, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var out []block
	for {
		var n uint32
		if err := binary.Read(z, binary.LittleEndian, &n); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		b := block{int64(n) * seedBlock, make([]byte, seedBlock)}
		if _, err := io.ReadFull(z, b.data); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
}

// Of a disk, these are looked at before it counts as blank: its beginning, its end, and
// blocks all over it.
const (
	blankEdge    = 16 << 20
	blankSamples = 4096
)

// blank reports whether nothing is on the disk, or a part of the seed alone, as the
// appliance leaves it if it is switched off while it writes the seed.
func blank(d io.ReaderAt, size int64, seed []block) (bool, error) {
	ours := map[int64][]byte{}
	for _, b := range seed {
		ours[b.at] = b.data
	}
	got := make([]byte, seedBlock)
	look := func(at int64) (bool, error) {
		if _, err := d.ReadAt(got, at); err != nil {
			return false, err
		}
		return bytes.Equal(got, zeros[:]) || bytes.Equal(got, ours[at]), nil
	}
	edge := min(blankEdge, size/2)
	step := max(size/blankSamples/seedBlock, 1) * seedBlock
	var places []int64
	for at := int64(0); at < edge; at += seedBlock {
		places = append(places, at, (size-edge+at)/seedBlock*seedBlock)
	}
	for at := edge; at < size-edge; at += step {
		places = append(places, at/seedBlock*seedBlock)
	}
	for at := range ours {
		places = append(places, at)
	}
	for _, at := range places {
		if at+seedBlock > size {
			continue
		}
		if ok, err := look(at); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// plant writes the seed to a blank disk. The superblock, by which the file system is
// known, comes last.
func plant(d *os.File, size int64, seed []block) error {
	var first []byte
	for _, b := range seed {
		if b.at+seedBlock > size {
			return fmt.Errorf("the disk of %d MiB is too small for a file system: it needs %d MiB", size>>20, seed[len(seed)-1].at>>20+1)
		}
	}
	for _, b := range seed {
		if b.at == 0 {
			first = b.data
			continue
		}
		if _, err := d.WriteAt(b.data, b.at); err != nil {
			return err
		}
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if _, err := d.WriteAt(first, 0); err != nil {
		return err
	}
	return d.Sync()
}
