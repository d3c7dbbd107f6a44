package vcsim

import (
	"errors"
	"hash/maphash"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// grain is the granularity of changed block tracking, in bytes.
const grain = 64 << 10

// cloneFile makes dst a copy of src with the same holes, as a reflink if the file
// system supports it. dst is replaced.
func cloneFile(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil {
			_ = os.Remove(dst)
		}
	}()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	st, err := in.Stat()
	if err != nil {
		return err
	}
	if err = out.Truncate(st.Size()); err != nil {
		return err
	}
	return eachData(in, st.Size(), func(off, n int64) error {
		if _, err := in.Seek(off, io.SeekStart); err != nil {
			return err
		}
		if _, err := out.Seek(off, io.SeekStart); err != nil {
			return err
		}
		_, err := io.CopyN(out, in, n) // copy_file_range
		return err
	})
}

// eachData calls fn for every range of the file that is not a hole, in order.
func eachData(f *os.File, size int64, fn func(off, n int64) error) error {
	for off := int64(0); off < size; {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		hole = min(hole, size)
		if hole <= data {
			return nil
		}
		if err = fn(data, hole-data); err != nil {
			return err
		}
		off = hole
	}
	return nil
}

// allocated are the grains of the file that are not holes.
func allocated(name string) (map[int64]bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	set := map[int64]bool{}
	err = eachData(f, st.Size(), func(off, n int64) error {
		for g := off / grain; g <= (off+n-1)/grain; g++ {
			set[g] = true
		}
		return nil
	})
	return set, err
}

var hashSeed = maphash.MakeSeed()

// hashGrains are the hashes of all grains that are not zero.
func hashGrains(name string) (map[int64]uint64, error) {
	set, err := allocated(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sums := make(map[int64]uint64, len(set))
	buf := make([]byte, grain)
	for g := range set {
		n, err := f.ReadAt(buf, g*grain)
		if err != nil && err != io.EOF {
			return nil, err
		}
		clear(buf[n:])
		if !isZero(buf) {
			sums[g] = maphash.Bytes(hashSeed, buf)
		}
	}
	return sums, nil
}

func isZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// grow makes the file at least size bytes, with a hole at its end.
func grow(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() >= size {
		return err
	}
	return f.Truncate(size)
}
