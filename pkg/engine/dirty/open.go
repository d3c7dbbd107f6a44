package dirty

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// Found is what Open found, and so what is dirty.
type Found int

const (
	// Fresh: there was no file of this group and these disks. Everything is dirty.
	Fresh Found = iota
	// Rebooted: the machine went down without Close. Everything is dirty.
	Rebooted
	// Killed: the process ended without Close. The map, intents included.
	Killed
	// Clean: the map.
	Clean
)

func (f Found) String() string { return [...]string{"fresh", "rebooted", "killed", "clean"}[f] }

// Open maps the file at path, and makes it when there is none or it belongs to
// something else. If disks have grown, or there are more of them, what is new is dirty. From here until Close(true) it counts as not closed, on disk
// too. Conflict when another process has it; Full when there is no room.
func Open(path string, id Identity) (m *Map, found Found, err error) {
	const op = "open dirty map"
	for i, d := range id.Disks {
		if int(d.ID) != i || d.Size <= 0 || d.Size%cdp.SectorSize != 0 {
			return nil, 0, cdp.Errorf(cdp.Invalid, op, d.Name, "disk %d is at place %d and has %d bytes: IDs count from 0, and sizes are multiples of %d", d.ID, i, d.Size, cdp.SectorSize)
		}
	}
	if len(id.Disks) == 0 || len(id.Group) > 48 || len(id.Boot) > 48 {
		return nil, 0, cdp.Errorf(cdp.Invalid, op, path, "%d disks, group %q, boot %q", len(id.Disks), id.Group, id.Boot)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, 0, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	m = &Map{file: f, disks: id.Disks}
	defer func() {
		if err != nil {
			m.unmap()
			m = nil
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return m, 0, &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: path, Cause: err, Hint: "another process captures this group on this machine"}
	}
	st, err := f.Stat()
	if err != nil {
		return m, 0, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	size := fileSize(id.Disks)
	was, err := m.before(id, st.Size())
	if err != nil {
		return m, 0, err
	}
	if st.Size() != size && was == nil { // of another set of disks
		if err := f.Truncate(0); err != nil {
			return m, 0, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
		}
	}
	if err := m.reserve(size); err != nil {
		return m, 0, err
	}
	m.views()
	if was != nil {
		m.grow(was)
	}
	found = m.judge(id)
	if found <= Rebooted {
		m.format(id)
	} else if found == Killed {
		m.takeIntents()
	}
	if m.head().seed.Load() == seedNarrowing {
		m.SetAll()
		m.head().seed.Store(seedWhole)
	}
	m.recount()
	m.head().clean.Store(0)
	copy(m.head().boot[:], make([]byte, 48))
	copy(m.head().boot[:], id.Boot)
	if err := unix.Msync(m.mem, unix.MS_SYNC); err != nil {
		return m, found, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	return m, found, nil
}

// reserve allocates every block of the file, so that no later store hits a
// full file system (which would be a SIGBUS), and maps it.
func (m *Map) reserve(size int64) error {
	fd := int(m.file.Fd())
	fail := func(err error) error {
		kind := cdp.Transient
		if errors.Is(err, unix.ENOSPC) {
			kind = cdp.Full
		}
		return &cdp.Error{Op: "reserve dirty map", Kind: kind, Subject: m.file.Name(), Cause: err}
	}
	if err := unix.Fallocate(fd, 0, 0, size); err != nil {
		return fail(err)
	}
	mem, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fail(err)
	}
	m.mem = mem
	return nil
}

func (m *Map) judge(id Identity) Found {
	h := m.head()
	var boot, group [48]byte
	copy(boot[:], id.Boot)
	copy(group[:], id.Group)
	if h.magic.Load() != magic || !bytes.Equal(h.group[:], group[:]) || int(h.disks) != len(id.Disks) {
		return Fresh
	}
	for i, d := range id.Disks {
		if binary.LittleEndian.Uint64(m.mem[sizesAt+8*i:]) != uint64(d.Size) {
			return Fresh
		}
	}
	switch {
	case h.clean.Load() == 1:
		return Clean
	case !bytes.Equal(h.boot[:], boot[:]):
		return Rebooted
	}
	return Killed
}

// format makes an empty file of everything: all dirty, no mark.
func (m *Map) format(id Identity) {
	h := m.head()
	h.magic.Store(0)
	clear(m.mem[8:])
	h.disks = uint32(len(id.Disks))
	copy(h.group[:], id.Group)
	for i, d := range id.Disks {
		binary.LittleEndian.PutUint64(m.mem[sizesAt+8*i:], uint64(d.Size))
	}
	h.seed.Store(seedWhole)
	m.SetAll()
	h.magic.Store(magic)
}

// Sync puts the file on disk as it is: what was set dirty before stays so even
// if the machine goes down. Call it before writing anything outside the map that
// relies on it.
func (m *Map) Sync() error {
	if err := unix.Msync(m.mem, unix.MS_SYNC); err != nil {
		m.touch()
		return &cdp.Error{Op: "sync dirty map", Kind: cdp.Transient, Subject: m.file.Name(), Cause: err}
	}
	return nil
}

// Close unmaps the file. clean says that the map knows of all that is missing
// elsewhere: every acknowledged write is in a frame the stream holds, in a window
// that the caller will look for, or dirty. The file is on disk when it returns.
func (m *Map) Close(clean bool) error {
	if m.mem == nil {
		return nil
	}
	var err error
	if clean {
		if err = unix.Msync(m.mem, unix.MS_SYNC); err == nil {
			m.head().clean.Store(1)
			err = unix.Msync(m.mem[:page], unix.MS_SYNC)
		}
	}
	name := m.file.Name()
	m.unmap()
	if err != nil {
		return &cdp.Error{Op: "close dirty map", Kind: cdp.Transient, Subject: name, Cause: err}
	}
	return nil
}

func (m *Map) unmap() {
	if m.mem != nil {
		unix.Munmap(m.mem)
		m.mem = nil
	}
	m.file.Close()
}
