package dirty

import (
	"bytes"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// before is the file as it is, of size bytes, if it is of the same group and its disks
// have grown since, or become more; else nil. From then on a crash makes it Fresh, until
// grow is done.
func (m *Map) before(id Identity, size int64) (*Map, error) {
	const op = "read dirty map"
	if size < sizesAt {
		return nil, nil
	}
	was := &Map{mem: make([]byte, size)}
	if _, err := io.ReadFull(io.NewSectionReader(m.file, 0, size), was.mem); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: m.file.Name(), Cause: err}
	}
	h := was.head()
	var group [48]byte
	copy(group[:], id.Group)
	n := int(h.disks)
	if h.magic.Load() != magic || !bytes.Equal(h.group[:], group[:]) || n == 0 || n > len(id.Disks) || size < sizesAt+8*int64(n) {
		return nil, nil
	}
	same := n == len(id.Disks)
	for i, d := range id.Disks[:n] {
		d.Size = int64(binary.LittleEndian.Uint64(was.mem[sizesAt+8*i:]))
		if d.Size <= 0 || d.Size > id.Disks[i].Size {
			return nil, nil
		}
		same = same && d.Size == id.Disks[i].Size
		was.disks = append(was.disks, d)
	}
	if same || fileSize(was.disks) != size {
		return nil, nil
	}
	was.views()
	if _, err := m.file.WriteAt(make([]byte, 8), 0); err != nil { // the magic
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: m.file.Name(), Cause: err}
	}
	if err := unix.Fdatasync(int(m.file.Fd())); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: m.file.Name(), Cause: err}
	}
	return was, nil
}

// grow takes over what an earlier map of smaller disks, or fewer, says. What it says
// nothing of is dirty.
func (m *Map) grow(was *Map) {
	clear(m.mem)
	copy(m.mem[8:sizesAt], was.mem[8:sizesAt])
	m.head().disks = uint32(len(m.disks))
	for i, d := range m.disks {
		binary.LittleEndian.PutUint64(m.mem[sizesAt+8*i:], uint64(d.Size))
		var from int64
		if i < len(was.disks) {
			copy(m.dirty[i], was.dirty[i])
			copy(m.gens[0][i], was.gens[0][i])
			copy(m.gens[1][i], was.gens[1][i])
			from = was.disks[i].Size
		}
		if from < d.Size {
			m.Set(d.ID, from, d.Size-from)
		}
	}
	m.head().magic.Store(magic)
}
