package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// host is one process's way to the machine's snapshots.
type host struct {
	*vm
	gone bool // guarded by smu
}

func (h *host) kill() {
	h.smu.Lock()
	defer h.smu.Unlock()
	h.gone = true
}

func (v *vm) faults(f func()) {
	v.smu.Lock()
	defer v.smu.Unlock()
	f()
}

var errKilled = errors.New("the process is dead")

func (h *host) Freeze(ctx context.Context, m Machine, pass string) (Frozen, error) {
	for !h.mu.TryLock() { // writes on their way are drained
		if ctx.Err() != nil {
			return Frozen{}, ctx.Err()
		}
		time.Sleep(100 * time.Microsecond)
	}
	defer h.mu.Unlock()
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.slow > 0 {
		time.Sleep(h.slow)
	}
	switch {
	case h.gone:
		return Frozen{}, errKilled
	case h.noFreeze != nil:
		return Frozen{}, h.noFreeze
	}
	if s := h.snaps[pass]; s != nil {
		return s.frozen, nil
	}
	if len(h.snaps) > 0 && h.broken == nil {
		h.broken = fmt.Errorf("a snapshot for %s beside %d others", pass, len(h.snaps))
	}
	s := &snapshot{gen: h.gen, frozen: Frozen{At: time.Now().Add(h.ahead)}}
	h.gen++
	h.taken++
	h.at[s.frozen.At.UnixNano()] = h.sum
	for d, img := range h.disks {
		s.disks = append(s.disks, bytes.Clone(img))
		if slices.Max(m.Keys) > 0 && m.Keys[d] == 0 { // most tests give no keys at all
			s.frozen.Disks = append(s.frozen.Disks, FrozenDisk{})
			continue
		}
		s.frozen.Disks = append(s.frozen.Disks, FrozenDisk{Path: fmt.Sprintf("%s/%d", pass, d), ChangeID: fmt.Sprintf("%d.%d", h.reset, s.gen)})
	}
	h.snaps[pass] = s
	return s.frozen, nil
}

func (h *host) Changed(_ context.Context, _ Machine, pass string, d cdp.DiskID, since string, fn func(off, n int64)) error {
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.gone {
		return errKilled
	}
	if h.noChanges != nil {
		return h.noChanges
	}
	var reset, gen int
	if since != "*" {
		fmt.Sscanf(since, "%d.%d", &reset, &gen)
		if reset != h.reset {
			return cdp.Errorf(cdp.Conflict, "ask for changes", "", "change id %s is stale", since)
		}
	}
	size := int64(len(h.disks[d]))
	for b, g := range h.block[d] {
		if off := int64(b) * cdp.BlockSize; g > gen {
			fn(off, min(cdp.BlockSize, size-off))
		}
	}
	return nil
}

func (h *host) Thaw(_ context.Context, _ Machine, keep string) error {
	h.smu.Lock()
	defer h.smu.Unlock()
	if h.gone {
		return errKilled
	}
	if h.noThaw != nil {
		return h.noThaw
	}
	if h.open > 0 && h.broken == nil {
		h.broken = fmt.Errorf("thawed with %d disks open", h.open)
	}
	for pass := range h.snaps {
		if pass != keep {
			delete(h.snaps, pass)
		}
	}
	return nil
}

// Disk opens a disk of a snapshot.
func (h *host) Disk(path string, readOnly bool) (Disk, error) {
	h.smu.Lock()
	defer h.smu.Unlock()
	var d int
	pass, no, _ := strings.Cut(path, "/")
	fmt.Sscan(no, &d)
	s := h.snaps[pass]
	if s == nil || !readOnly {
		return nil, cdp.Errorf(cdp.NotFound, "open disk", path, "there is none to be read")
	}
	h.open++
	return &memDisk{h: h, img: s.disks[d]}, nil
}

// memDisk is a frozen disk; it knows no holes.
type memDisk struct {
	h   *host
	img []byte
}

func (m *memDisk) Size() int64 { return int64(len(m.img)) }
func (m *memDisk) ReadAt(p []byte, off int64) error {
	copy(p, m.img[off:])
	return nil
}
func (m *memDisk) WriteAt([]byte, int64, bool) error        { return errors.New("read only") }
func (m *memDisk) Zero(int64, int64, block.ZeroFlags) error { return errors.New("read only") }
func (m *memDisk) Trim(int64, int64, bool) error            { return nil }
func (m *memDisk) Flush() error                             { return nil }
func (m *memDisk) Status(_, n int64) []block.Extent         { return []block.Extent{{Length: n}} }
func (m *memDisk) Close() error {
	m.h.smu.Lock()
	defer m.h.smu.Unlock()
	m.h.open--
	return nil
}
