package window

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Open maps the window in the file at path, and reports whether it is the one
// that an earlier process of the same boot left. A file that is missing, of another
// boot, group, version or number of slots, or not whole is replaced by an empty
// window. All memory is reserved here: Full when there is too little, Conflict
// when another process has the window.
func Open(path string, id Identity, slots int) (w *Window, restored bool, err error) {
	const op = "open window"
	if slots < 2 || len(id.Boot) > 48 || len(id.Group) > 48 {
		return nil, false, cdp.Errorf(cdp.Invalid, op, path, "%d slots (at least 2 are needed), boot %q and group %q (at most 48 bytes each)", slots, id.Boot, id.Group)
	}
	if err := ownDir(filepath.Dir(path)); err != nil {
		return nil, false, cdp.Wrap(err, op, path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, false, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	w = &Window{file: f, n: slots, builders: make([]frame.Builder, slots), frames: make([]frame.Frame, slots)}
	defer func() {
		if err != nil {
			w.Close()
			w = nil
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return w, false, &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: path, Cause: err, Hint: "another process captures this group on this machine"}
	}
	st, err := f.Stat()
	if err != nil {
		return w, false, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	whole := st.Size() == fileSize(slots)
	if err := w.reserve(); err != nil {
		return w, false, err
	}
	if whole && w.owned(id) && w.restore() {
		return w, true, nil
	}
	w.format(id)
	return w, false, nil
}

// ownDir makes dir, and refuses one that others could put files into: its parent
// may be writable by everyone, as /dev/shm is.
func ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &cdp.Error{Op: "make directory", Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &cdp.Error{Op: "check directory", Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return cdp.Errorf(cdp.Invalid, "check directory", dir, "it has mode %o and owner %d", st.Mode, st.Uid).
			WithHint("it must be a directory that only the user of the capture service can write to")
	}
	return nil
}

// reserve gives the file its length with every block allocated, so that no
// later store hits a full file system (which would be a SIGBUS), and maps it.
func (w *Window) reserve() error {
	fd, size := int(w.file.Fd()), fileSize(w.n)
	fail := func(err error) error {
		kind := cdp.Transient
		if errors.Is(err, unix.ENOSPC) {
			kind = cdp.Full
		}
		return &cdp.Error{Op: "reserve window", Kind: kind, Subject: w.file.Name(), Cause: err}
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		return fail(err)
	}
	if err := unix.Fallocate(fd, 0, 0, size); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			unix.Ftruncate(fd, 0) // give back what was taken of it
		}
		return fail(err)
	}
	mem, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fail(err)
	}
	w.mem = mem
	return nil
}

func (w *Window) owned(id Identity) bool {
	var boot, group [48]byte
	copy(boot[:], id.Boot)
	copy(group[:], id.Group)
	return atomic.LoadUint64(w.u64(0)) == magic && *w.u32(8) == version && *w.u32(12) == uint32(w.n) &&
		bytes.Equal(w.mem[16:64], boot[:]) && bytes.Equal(w.mem[64:112], group[:])
}

func (w *Window) format(id Identity) {
	atomic.StoreUint64(w.u64(0), 0)
	clear(w.mem[8 : page+tableSize(w.n)])
	clear(w.builders)
	clear(w.frames)
	*w.u32(8), *w.u32(12) = version, uint32(w.n)
	copy(w.mem[16:64], id.Boot)
	copy(w.mem[64:112], id.Group)
	w.first, w.last, w.opened = 1, 0, false
	atomic.StoreUint64(w.u64(0), magic)
}

// restore takes over the frames in the slots. It is false when they are not one
// run of ordinals, each with sound content.
func (w *Window) restore() bool {
	w.first, w.last, w.opened = 1, 0, false
	lo, hi, used := ^uint64(0), uint64(0), 0
	for i := range w.n {
		e := w.at(i)
		if e.state.Load() == slotFree {
			continue
		}
		records, payload := unpack(e.counts.Load())
		if e.state.Load() > slotSealed || int(e.ord%uint64(w.n)) != i || e.ord == 0 ||
			records > frame.MaxRecords || payload > frame.MaxPayload {
			return false
		}
		w.builders[i] = frame.Restore(w.slot(i), records, payload)
		lo, hi, used = min(lo, e.ord), max(hi, e.ord), used+1
		if e.state.Load() == slotSealed {
			end := frame.HeaderSize + payload + records*frame.RecordSize
			f, err := frame.Parse(w.slot(i)[:end])
			if err != nil {
				return false
			}
			w.frames[i] = f
		}
	}
	if used == 0 {
		return true
	}
	if hi-lo+1 != uint64(used) {
		return false
	}
	for ord := lo; ord < hi; ord++ { // only the last may be open
		if w.at(w.index(ord)).state.Load() == slotOpen {
			return false
		}
	}
	w.first, w.last = lo, hi
	w.opened = w.at(w.index(hi)).state.Load() == slotOpen
	return true
}
