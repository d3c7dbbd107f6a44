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
// window. The memory of Floor is reserved here, and more as frames need it, within
// the budget: Full when there is too little. Conflict when another process has the
// window.
func Open(path string, id Identity, slots int, budget *Budget) (w *Window, restored bool, err error) {
	const op = "open window"
	if slots < 2 || len(id.Boot) > 48 || len(id.Group) > 48 {
		return nil, false, cdp.Errorf(cdp.Invalid, op, path, "%d slots (at least 2 are needed), boot %q and group %q (at most 48 bytes each)", slots, id.Boot, id.Group)
	}
	if err := OwnDir(filepath.Dir(path)); err != nil {
		return nil, false, cdp.Wrap(err, op, path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, false, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	w = &Window{file: f, n: slots, budget: budget, slots: make([]int, slots), backed: make([]backing, slots),
		builders: make([]frame.Builder, slots), frames: make([]frame.Frame, slots)}
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
	if err := w.open(); err != nil {
		return w, false, err
	}
	restored = whole && w.owned(id) && w.restore()
	if !restored {
		w.format(id)
	}
	if len(w.free) > 0 && !w.grow(w.free[len(w.free)-1], backing{floorFront, page}) {
		return w, false, &cdp.Error{Op: "reserve window", Kind: cdp.Full, Subject: path, Cause: unix.ENOSPC}
	}
	return w, restored, nil
}

// OwnDir makes dir, and refuses one that others could put files into: its parent
// may be writable by everyone, as /dev/shm is.
func OwnDir(dir string) error {
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

// open gives the file its length, with memory for header and table only, and maps
// it. Slots get theirs before anything is stored in them.
func (w *Window) open() error {
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
	if err := unix.Fallocate(fd, 0, 0, w.slotAt(0)); err != nil {
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
	return atomic.LoadUint64(w.u64(0)) == magic && (*w.u32(8) == version || *w.u32(8) == versionRing) && *w.u32(12) == uint32(w.n) &&
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
	w.first, w.last, w.opened, w.ended = 1, 0, false, 0
	w.freeAll(func(int) bool { return true })
	atomic.StoreUint64(w.u64(0), magic)
}

// freeAll makes free the slots without a frame. What they have of an earlier
// process's memory goes back.
func (w *Window) freeAll(free func(i int) bool) {
	w.free = w.free[:0]
	for i := w.n - 1; i >= 0; i-- {
		if free(i) {
			w.free = append(w.free, i)
			_ = w.punch(i) // where the file system cannot, the memory is used again
			w.forget(i)
		}
	}
	w.calm = len(w.free)
}
